import { duration } from '../duration.js';
import type { Colors } from './colors.js';

/** What a run tells of itself after a step. `null` for what is not known yet. */
export interface ProgressRecord {
  /** Steps done, of `totalSteps`. */
  readonly step: number;
  readonly totalSteps: number;
  /** Where the joint phase begins; drawn as a mark in the bar. */
  readonly switchStep: number | null;
  readonly phase: 'decoder-only' | 'joint';
  readonly loss: number | null;
  readonly imagesPerSecond: number | null;
  readonly workers: number;
  /** Of the latest evaluation. */
  readonly bleu4: number | null;
  readonly perplexity: number | null;
  readonly colorAccuracy: number | null;
  readonly evaluatedAt: number | null;
  /** Seconds until the last step. */
  readonly eta: number | null;
  /** What the run is doing just now besides stepping, such as "evaluating"; `null` or absent for nothing. */
  readonly doing?: string | null;
}

/** How lines are drawn; `unicode` false for terminals that have no block characters. */
export interface LineStyle {
  readonly colors: Colors;
  readonly width: number;
  readonly unicode: boolean;
}

/** A line with what it takes on screen, colour codes not counted. */
export interface DrawnLine {
  readonly text: string;
  readonly length: number;
}

/** Part of a line: plain text, and how to colour it. */
export interface LinePart {
  readonly text: string;
  readonly paint?: (text: string) => string;
  /** 1 is always shown; where the line is too long, the parts of the highest number go first. */
  readonly need: number;
}

/** The block that stands at the bottom of a terminal while a run goes on. */
export function progressLines(record: ProgressRecord, losses: readonly number[], style: LineStyle): DrawnLine[] {
  return [barLine(record, style), nowLine(record, losses, style), scoresLine(record, style)];
}

/** The same in words, for a log. */
export function plainLine(record: ProgressRecord): string {
  const facts = [
    record.loss === null ? null : `loss ${number(record.loss)}`,
    record.imagesPerSecond === null ? null : `${rate(record.imagesPerSecond)} images/s`,
    workers(record.workers),
    record.bleu4 === null ? null : `BLEU-4 ${record.bleu4.toFixed(3)}`,
    record.perplexity === null ? null : `perplexity ${number(record.perplexity)}`,
    record.colorAccuracy === null ? null : `colours ${percent(record.colorAccuracy)}`,
    record.eta === null ? null : `${duration(record.eta)} left`,
    record.doing ?? null,
  ];
  const share = percent(record.totalSteps === 0 ? 1 : record.step / record.totalSteps);
  const known = facts.filter((fact) => fact !== null).join(', ');
  return `step ${record.step}/${record.totalSteps} (${share}) ${record.phase}: ${known}`;
}

function barLine(record: ProgressRecord, style: LineStyle): DrawnLine {
  const { colors, width } = style;
  const name = record.phase.padEnd(12);
  const count = `${String(record.step).padStart(String(record.totalSteps).length)}/${record.totalSteps}`;
  const share = percent(record.totalSteps === 0 ? 1 : record.step / record.totalSteps).padStart(5);
  const left = record.eta === null || record.step >= record.totalSteps ? '' : `  ${duration(record.eta)} left`;
  const tail = `  ${count} ${share}${left.padEnd(12)}`;
  const room = Math.min(60, width - name.length - tail.length - 2);
  const parts: LinePart[] = [
    { text: name, paint: (text) => colors.bold(phasePaint(record.phase, colors)(text)), need: 1 },
  ];
  if (room >= 8) parts.push(...bar(record, room, style));
  parts.push(
    { text: `  ${count}`, need: 1 },
    { text: ` ${share}`, need: 2 },
    { text: left, paint: colors.dim, need: 3 },
  );
  return fit(parts, width);
}

function bar(record: ProgressRecord, cells: number, { colors, unicode }: LineStyle): LinePart[] {
  const full = unicode ? '━' : '#';
  const empty = unicode ? '─' : '-';
  const share = record.totalSteps === 0 ? 1 : record.step / record.totalSteps;
  const done = Math.round(Math.min(1, Math.max(0, share)) * cells);
  const mark =
    record.switchStep === null || record.totalSteps === 0
      ? cells
      : Math.round((record.switchStep / record.totalSteps) * cells);
  const decoderPaint = phasePaint('decoder-only', colors);
  const jointPaint = phasePaint('joint', colors);
  return [
    { text: full.repeat(Math.min(done, mark)), paint: decoderPaint, need: 2 },
    { text: empty.repeat(Math.max(0, mark - done)), paint: colors.dim, need: 2 },
    ...(mark > 0 && mark < cells
      ? [{ text: unicode ? '╂' : '|', paint: done > mark ? jointPaint : colors.dim, need: 2 }]
      : []),
    { text: full.repeat(Math.max(0, done - mark)), paint: jointPaint, need: 2 },
    { text: empty.repeat(Math.max(0, cells - Math.max(done, mark))), paint: colors.dim, need: 2 },
  ];
}

function nowLine(record: ProgressRecord, losses: readonly number[], style: LineStyle): DrawnLine {
  const { colors, unicode, width } = style;
  const between = { text: unicode ? '  ·  ' : '   ', paint: colors.dim, need: 2 };
  const parts: LinePart[] = [
    { text: 'loss ', paint: colors.dim, need: 1 },
    { text: number(record.loss).padEnd(7), need: 1 },
  ];
  if (unicode && losses.length > 1) parts.push({ text: sparkline(losses, 16), paint: colors.cyan, need: 4 });
  if (record.imagesPerSecond !== null) {
    parts.push(between, { text: `${rate(record.imagesPerSecond)} images/s`, need: 2 });
  }
  parts.push({ ...between, need: 3 }, { text: workers(record.workers), need: 3 });
  if (record.doing) {
    parts.push(
      { ...between, need: 5 },
      { text: `${record.doing}${unicode ? '…' : '...'}`, paint: colors.yellow, need: 5 },
    );
  }
  return fit(parts, width);
}

function scoresLine(record: ProgressRecord, { colors, unicode, width }: LineStyle): DrawnLine {
  if (record.evaluatedAt === null) return fit([{ text: 'no evaluation yet', paint: colors.dim, need: 1 }], width);
  const between = unicode ? '  ·  ' : '   ';
  const parts: LinePart[] = [];
  const show = (label: string, value: string | null, need: number): void => {
    if (value === null) return;
    if (parts.length > 0) parts.push({ text: between, paint: colors.dim, need });
    parts.push({ text: `${label} `, paint: colors.dim, need }, { text: value, paint: colors.bold, need });
  };
  show('BLEU-4', record.bleu4 === null ? null : record.bleu4.toFixed(3), 1);
  show('perplexity', record.perplexity === null ? null : number(record.perplexity), 2);
  show('colours', record.colorAccuracy === null ? null : percent(record.colorAccuracy), 3);
  parts.push({ text: `${between}at step ${record.evaluatedAt}`, paint: colors.dim, need: 4 });
  return fit(parts, width);
}

/** Leaves out the least needed parts until the rest fits; what must be shown is cut off at the edge. */
export function fit(parts: readonly LinePart[], width: number): DrawnLine {
  const length = (kept: readonly LinePart[]): number => kept.reduce((sum, { text }) => sum + text.length, 0);
  let kept = parts.filter(({ text }) => text !== '');
  for (let need = 5; need > 1 && length(kept) > width; need--) kept = kept.filter((part) => part.need < need);
  let room = width;
  let text = '';
  for (const part of kept) {
    const shown = part.text.slice(0, Math.max(0, room));
    room -= shown.length;
    text += part.paint === undefined ? shown : part.paint(shown);
  }
  return { text, length: width - room };
}

function phasePaint(phase: ProgressRecord['phase'], colors: Colors): (text: string) => string {
  return phase === 'joint' ? colors.magenta : colors.blue;
}

/** The latest values as bars of eight heights, between the least and the greatest of them. */
function sparkline(values: readonly number[], cells: number): string {
  const recent = values.slice(-cells);
  const least = Math.min(...recent);
  const span = Math.max(...recent) - least;
  const heights = '▁▂▃▄▅▆▇█';
  return recent.map((value) => heights[span === 0 ? 0 : Math.round(((value - least) / span) * 7)] ?? ' ').join('');
}

/** Four digits or so, whatever the size. */
function number(value: number | null): string {
  if (value === null) return '–';
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1000) return Math.round(value).toString();
  return value.toFixed(value >= 100 ? 1 : value >= 10 ? 2 : 3);
}

function rate(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}

function percent(share: number): string {
  return `${Math.floor(share * 100 + 1e-9)} %`;
}

function workers(count: number): string {
  return `${count} ${count === 1 ? 'worker' : 'workers'}`;
}

import type { RunStatus } from '../status.js';
import type { StepParts } from '../step-parts.js';
import { fit, progressLines, type LinePart, type LineStyle } from './progress-lines.js';

/** One run as `showtell top` shows it. */
export interface WatchedRun {
  /** As the person named it. */
  readonly name: string;
  /** Or why there is none now. */
  readonly status: RunStatus | string;
  /** Where the joint phase begins, as far as is known. */
  readonly switchStep: number | null;
  /** Mean losses of stretches of steps, for the little curve. */
  readonly losses: readonly number[];
}

export interface FrameStyle extends LineStyle {
  /** Rows there are; Infinity where a frame is printed once. */
  readonly height: number;
  /** What the last line says: the keys. */
  readonly footer: string;
}

/** What fills the screen, a line each; none is wider than the style says, and there are at most as many as its height. */
export function topFrame(runs: readonly WatchedRun[], style: FrameStyle): string[] {
  const bodies = runs.map((run) => linesOf(run, style));
  const blank = runs.length > 1 ? [''] : [];
  const lines = bodies.flatMap((body, i) => (i === 0 ? body : [...blank, ...body]));
  const footer =
    style.footer === '' ? [] : [fit([{ text: style.footer, paint: style.colors.dim, need: 1 }], style.width).text];
  const room = style.height - footer.length;
  if (lines.length <= room) return [...lines, ...footer];
  const hidden = lines.length - room + 1;
  const more = fit(
    [{ text: `${style.unicode ? '…' : '...'} ${hidden} more lines`, paint: style.colors.dim, need: 1 }],
    style.width,
  );
  return [...lines.slice(0, Math.max(0, room - 1)), more.text, ...footer].slice(0, Math.max(1, style.height));
}

function linesOf({ name, status, switchStep, losses }: WatchedRun, style: FrameStyle): string[] {
  const { colors, width } = style;
  if (typeof status === 'string') {
    const parts = [
      { text: name, paint: colors.bold, need: 1 },
      { text: `  ${status}`, paint: colors.yellow, need: 1 },
    ];
    return [fit(parts, width).text];
  }
  const captions = status.evaluation?.scores.captions ?? null;
  const record = {
    ...{ step: status.step, totalSteps: status.totalSteps, phase: status.phase, loss: status.loss },
    ...{ switchStep: status.switchedAt ?? switchStep, imagesPerSecond: status.imagesPerSecond },
    ...{ workers: status.workers.length, eta: status.etaSeconds },
    bleu4: captions?.bleu[3] ?? null,
    perplexity: status.evaluation?.scores.perplexity ?? null,
    colorAccuracy: captions?.colorAccuracy ?? null,
    evaluatedAt: status.evaluation?.step ?? null,
  };
  const lines = [header(status, style), ...progressLines(record, losses, style).map(({ text }) => text)];
  if (status.anatomy !== null) lines.push(anatomyLine(status.anatomy, style));
  return [...lines, ...workerTable(status.workers, style)];
}

function header(status: RunStatus, { colors, width }: FrameStyle): string {
  const { run, state, generation, lineage, checkpointStep } = status;
  const paint = state === 'training' ? colors.green : state === 'paused' ? colors.yellow : colors.dim;
  const saved = checkpointStep === null ? 'no checkpoint yet' : `checkpoint at ${checkpointStep}`;
  const rolledBack = lineage > 1 ? `  rolled back ${lineage - 1}×` : '';
  const parts: LinePart[] = [
    { text: run, paint: colors.bold, need: 1 },
    { text: `  ${state}`, paint, need: 1 },
    { text: `  ${saved}`, paint: colors.dim, need: 3 },
    { text: `  generation ${generation}${rolledBack}`, paint: colors.dim, need: 4 },
  ];
  return fit(parts, width).text;
}

/** Cells of the bar that stands for a step. */
const barCells = 24;

function anatomyLine(parts: StepParts, { colors, unicode, width }: FrameStyle): string {
  const whole = parts.data + parts.compute + parts.exchange + parts.update + parts.wait;
  if (whole <= 0) return '';
  const painted = [
    ['data', parts.data, colors.cyan],
    ['compute', parts.compute, colors.green],
    ['wait', parts.wait, colors.yellow],
    ['exchange', parts.exchange, colors.blue],
    ['update', parts.update, colors.magenta],
  ] as const;
  // Each part ends where the sum so far does, so that the bar is full.
  const ends = painted.map((_, i) => painted.slice(0, i + 1).reduce((sum, [, seconds]) => sum + seconds, 0));
  const cells = ends.map((end) => Math.round((end / whole) * barCells));
  const letters = ['d', 'c', 'w', 'e', 'u'];
  const bar = painted.map(([, , paint], i): LinePart => {
    const count = (cells[i] ?? 0) - (cells[i - 1] ?? 0);
    return { text: (unicode ? '█' : (letters[i] ?? '#')).repeat(count), paint, need: 3 };
  });
  const legend = painted.map(([part, seconds, paint]): LinePart => ({
    text: `  ${part} ${Math.round((100 * seconds) / whole)} %`,
    paint,
    need: part === 'compute' ? 1 : 2,
  }));
  return fit([{ text: `step ${time(whole)}  `, need: 1 }, ...bar, ...legend], width).text;
}

function time(seconds: number): string {
  return seconds < 1 ? `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms` : `${seconds.toFixed(2)} s`;
}

type WorkerRow = RunStatus['workers'][number];

interface Column {
  readonly title: string;
  readonly left?: boolean;
  readonly cell: (worker: WorkerRow) => string;
}

/** From the most to the least needed: a narrow terminal leaves out the last ones. */
const columns: readonly Column[] = [
  { title: 'WORKER', left: true, cell: ({ id }) => id },
  { title: 'NOW', left: true, cell: ({ doing }) => doing },
  { title: 'COMPUTE', cell: ({ shares }) => share(shares?.compute) },
  { title: 'DATA', cell: ({ shares }) => share(shares?.data) },
  { title: 'PARAMS', cell: ({ shares }) => share(shares?.parameters) },
  { title: 'IDLE', cell: ({ shares }) => share(shares?.unit) },
  { title: 'DONE', cell: ({ units }) => String(units) },
  { title: 'MEMORY', cell: ({ residentBytes: bytes }) => (bytes === null ? '–' : `${Math.round(bytes / 2 ** 20)}M`) },
  { title: 'PID', cell: ({ pid }) => String(pid) },
  { title: 'HOST', left: true, cell: ({ host }) => host },
];

function share(value: number | undefined): string {
  return value === undefined ? '–' : `${Math.round(value * 100)} %`;
}

function workerTable(workers: readonly WorkerRow[], { colors, width }: FrameStyle): string[] {
  if (workers.length === 0) return [];
  const sorted = [...workers].sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }));
  const table = columns.map(({ title, left, cell }) => {
    const cells = [title, ...sorted.map(cell)];
    const size = Math.max(...cells.map((text) => text.length));
    return cells.map((text) => (left === true ? text.padEnd(size) : text.padStart(size)));
  });
  let used = 0;
  const shown = table.filter((column, i) => {
    used += (column[0]?.length ?? 0) + (i === 0 ? 0 : 2);
    return i === 0 || used <= width;
  });
  return [null, ...sorted].map((worker, row) => {
    const text = shown.map((column) => column[row] ?? '').join('  ');
    const paint = worker === null ? colors.dim : /^(computes|evaluates)/u.test(worker.doing) ? colors.green : String;
    return fit([{ text: text.trimEnd(), paint, need: 1 }], width).text;
  });
}

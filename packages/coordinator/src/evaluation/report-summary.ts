import { createColors } from 'picocolors';
import { duration } from '../duration.js';
import { thousands } from './report-chart.js';
import { milestones, type ReportData } from './report-data.js';
import { markColors, type CaptionPiece } from './scores/colors.js';
import { tokenizeCaption } from './scores/tokenize.js';

export interface SummaryOptions {
  readonly color: boolean;
  /** Columns; longer captions go on in the next line. */
  readonly width: number;
  /** Where the run's page was written, to be named at the end. */
  readonly page?: string;
}

const outcomes = {
  complete: 'complete',
  stopped: 'stopped',
  'guard-unmet': 'ended before the joint phase, guard unmet',
  'rolled-back': 'rolled back to the end of decoder-only',
} as const;

type Colors = ReturnType<typeof createColors>;

/**
 * A run's outcome for the terminal: scores after each phase, the held-out pictures' captions, how to go on. A wrong
 * colour is struck through in red, or marked `✗` where there is no colour. Ends in a line break.
 */
export function renderSummary(data: ReportData, { color, width, page }: SummaryOptions): string {
  const colors = createColors(color);
  const state = (data.outcome === 'complete' ? colors.green : colors.red)(outcomes[data.outcome]);
  const lines = [`${colors.bold(data.run)}: ${state}, ${thousands(data.steps)} steps in ${duration(data.seconds)}`];
  if (data.reason !== null) lines.push(...wrap(words(data.reason), width, { text: '', length: 0 }));
  lines.push(...scoreTable(data, colors), ...pictureLines(data, colors, width));
  if (page !== undefined) lines.push('', `${colors.bold('The whole report:')} ${page}`);
  for (const { what, command } of data.next) lines.push('', what, `  ${colors.cyan(command)}`);
  return `${lines.join('\n')}\n`;
}

function scoreTable(data: ReportData, colors: Colors): string[] {
  const three = (value: number | null): string => (value === null ? '–' : value.toFixed(3));
  const percent = (value: number | null): string => (value === null ? '–' : `${Math.floor(value * 100 + 1e-9)} %`);
  const rows = milestones(data).map(({ when, scores }) => [
    when,
    scores.perplexity.toFixed(2),
    three(scores.bleu1),
    three(scores.bleu4),
    percent(scores.colorAccuracy),
    percent(scores.novelty),
  ]);
  if (rows.length === 0) return [];
  const head = ['', 'perplexity', 'BLEU-1', 'BLEU-4', 'colours', 'novel'];
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  const last = rows.length - 1;
  return [
    '',
    colors.dim(line(head)),
    ...rows.map((row, index) => (index === last ? colors.bold(line(row)) : line(row))),
  ];
}

function pictureLines({ pictures }: ReportData, colors: Colors, width: number): string[] {
  const longest = Math.max(...pictures.flatMap(({ captions }) => captions.map(({ when }) => when.length)), 0);
  const label = (name: string): Painted => ({ text: `  ${colors.dim(name.padEnd(longest))}  `, length: longest + 4 });
  return pictures.flatMap(({ imageId, references, captions }, index) => {
    const tokenized = references.map(tokenizeCaption);
    const first = references[0] ?? '(nothing)';
    return [
      '',
      `${colors.bold(`picture ${imageId}`)}${index === 0 ? colors.dim(', held out from training, as the others') : ''}`,
      ...wrap(words(first), width, label('people')),
      ...captions.flatMap(({ when, caption }) => {
        const said = caption === '' ? words('(nothing)') : paintWords(markColors(caption, tokenized), colors);
        return wrap(said, width, label(when));
      }),
    ];
  });
}

/** A text that takes `length` columns; colour codes take none. */
interface Painted {
  readonly text: string;
  readonly length: number;
}

function words(text: string): Painted[] {
  return text.split(' ').map((word) => ({ text: word, length: word.length }));
}

/** The caption's words, those that name colours marked. */
function paintWords(pieces: readonly CaptionPiece[], colors: Colors): Painted[] {
  const painted: Painted[] = [];
  let text = '';
  let length = 0;
  const end = (): void => {
    if (length > 0) painted.push({ text, length });
    [text, length] = ['', 0];
  };
  for (const piece of pieces) {
    const mark = piece.color === 'wrong' && !colors.isColorSupported ? '✗' : '';
    const paint = (part: string): string => {
      if (piece.color === 'right') return colors.green(part);
      return piece.color === 'wrong' ? colors.red(colors.strikethrough(part)) : part;
    };
    piece.text.split(' ').forEach((part, index) => {
      if (index > 0) end();
      if (part === '') return;
      text += paint(part + mark);
      length += part.length + mark.length;
    });
  }
  end();
  return painted;
}

/** Lines of at most `width` columns, as long as the words are short enough; the first begins with `label`, the others under it. */
function wrap(parts: readonly Painted[], width: number, label: Painted): string[] {
  const lines: string[] = [];
  let line = label.text;
  let used = label.length;
  for (const { text, length } of parts) {
    const space = used > label.length ? 1 : 0;
    if (space === 1 && used + 1 + length > width) {
      lines.push(line);
      line = ' '.repeat(label.length) + text;
      used = label.length + length;
    } else {
      line += ' '.repeat(space) + text;
      used += space + length;
    }
  }
  return [...lines, line];
}

import type { WriteStream } from 'node:tty';
import { colorsFor } from './colors.js';
import { plainLine, progressLines, type DrawnLine, type ProgressRecord } from './progress-lines.js';

export type { ProgressRecord } from './progress-lines.js';

export interface Progress extends Disposable {
  /** Shows a record; may be called after each step, however fast they are. */
  update(record: ProgressRecord): void;
  /** Prints a line that stays, above the moving block. */
  note(line: string): void;
  /** Draws the last record once more, leaves it standing and gives the terminal back. */
  done(): void;
}

export interface ProgressOptions {
  /** Seconds between lines where the stream is no terminal. Default 10. */
  readonly interval?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

type Stream = Pick<WriteStream, 'write'> & Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'on' | 'off'>>;

/** Milliseconds from one drawing of the block to the next. */
const frame = 80;
/** Losses kept for the little curve; each is the mean of the losses of a stretch of steps. */
const keptLosses = 16;

/**
 * Shows how training goes: on a terminal three lines drawn anew in place, elsewhere a line now and then, at each change
 * of phase, at each evaluation and at the end. Colours as `NO_COLOR` and `FORCE_COLOR` say.
 */
export function createProgress(stream: Stream, options: ProgressOptions = {}): Progress {
  const env = options.env ?? process.env;
  return stream.isTTY === true && env['TERM'] !== 'dumb' ? liveProgress(stream, env) : plainProgress(stream, options);
}

function plainProgress(stream: Stream, { interval = 10, now = Date.now }: ProgressOptions): Progress {
  let shown: ProgressRecord | null = null;
  let shownAt = -Infinity;
  let latest: ProgressRecord | null = null;
  const show = (record: ProgressRecord): void => {
    stream.write(`${plainLine(record)}\n`);
    shown = record;
    shownAt = now();
  };
  const done = (): void => {
    if (latest !== null && latest !== shown) show(latest);
    latest = null;
  };
  return {
    update(record) {
      latest = record;
      const news = shown === null || shown.phase !== record.phase || shown.evaluatedAt !== record.evaluatedAt;
      if (news || now() - shownAt >= interval * 1000) show(record);
    },
    note: (line) => void stream.write(`${line}\n`),
    done,
    [Symbol.dispose]: done,
  };
}

function liveProgress(stream: Stream, env: Readonly<Record<string, string | undefined>>): Progress {
  const colors = colorsFor(stream, env);
  const unicode = env['TERM'] !== 'linux';
  const losses = new LossCurve();
  let latest: ProgressRecord | null = null;
  let drawn: readonly DrawnLine[] = [];
  let timer: NodeJS.Timeout | undefined;
  let open = false;

  const columns = (): number => (stream.columns === undefined || stream.columns < 1 ? 80 : stream.columns);
  /** To the first column of the block's first row. A block that a narrower window has wrapped takes more rows. */
  const toTop = (): string => {
    if (drawn.length === 0) return '';
    const rows = drawn.reduce((sum, { length }) => sum + Math.max(1, Math.ceil(length / columns())), 0);
    return `\r${rows > 1 ? `\x1b[${rows - 1}A` : ''}`;
  };
  /** One write a frame between "begin" and "end synchronised update": a terminal that knows these shows no half frame. */
  const draw = (above = ''): void => {
    clearTimeout(timer);
    timer = undefined;
    const before = toTop();
    // The last column stays free: writing it makes some terminals wrap.
    if (latest !== null)
      drawn = progressLines(latest, losses.values(), { colors, unicode, width: Math.min(100, columns() - 1) });
    const body = drawn.map(({ text }) => `${text}\x1b[K`).join('\n');
    stream.write(`\x1b[?2026h${before}${above}${body}\x1b[J\x1b[?2026l`);
  };
  const begin = (): void => {
    if (open) return;
    open = true;
    stream.write('\x1b[?25l');
    process.once('exit', end);
    stream.on?.('resize', resized);
  };
  const end = (): void => {
    if (!open) return;
    if (latest !== null) latest = { ...latest, doing: null };
    draw();
    open = false;
    stream.write('\n\x1b[?25h');
    drawn = [];
    latest = null;
    process.off('exit', end);
    stream.off?.('resize', resized);
  };
  const resized = (): void => draw();

  return {
    update(record) {
      if (record.loss !== null && record.step !== latest?.step) losses.add(record.step, record.loss, record.totalSteps);
      latest = record;
      begin();
      if (drawn.length === 0) draw();
      else timer ??= setTimeout(draw, frame).unref();
    },
    note(line) {
      if (open) draw(`${line}\x1b[K\n`);
      else stream.write(`${line}\n`);
    },
    done: end,
    [Symbol.dispose]: end,
  };
}

/** Mean losses of equal stretches of steps, so that the little curve shows the trend and not the noise of single steps. */
export class LossCurve {
  private readonly stretches: { readonly index: number; sum: number; count: number }[] = [];

  add(step: number, loss: number, totalSteps: number): void {
    if (!Number.isFinite(loss)) return;
    const index = Math.floor(step / Math.max(1, Math.round(totalSteps / 60)));
    const last = this.stretches.at(-1);
    if (last?.index === index) {
      last.sum += loss;
      last.count++;
    } else this.stretches.push({ index, sum: loss, count: 1 });
    if (this.stretches.length > keptLosses) this.stretches.shift();
  }

  values(): number[] {
    return this.stretches.map(({ sum, count }) => sum / count);
  }
}

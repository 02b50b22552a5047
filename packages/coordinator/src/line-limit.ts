import type { Logger } from '@showtell/shared/service/log.js';

/**
 * Which lines of a log are written, where others decide how many there are: of each kind so many a second, and how many were
 * left out with the next one.
 */
export class LineLimit {
  readonly #kinds = new Map<string, { second: number; lines: number; unwritten: number }>();

  constructor(private readonly linesPerSecond: number) {}

  /** @returns null for a line that is left out; else facts for it: how many of its kind were left out before */
  take(kind: string): { readonly unwritten?: number } | null {
    const second = Math.floor(performance.now() / 1_000);
    let seen = this.#kinds.get(kind);
    if (seen?.second !== second) {
      seen = { second, lines: 0, unwritten: seen?.unwritten ?? 0 };
      this.#kinds.set(kind, seen);
    }
    if (seen.lines++ >= this.linesPerSecond) {
      seen.unwritten++;
      return null;
    }
    const { unwritten } = seen;
    seen.unwritten = 0;
    return unwritten === 0 ? {} : { unwritten };
  }
}

/** What is only written to. */
export type Lines = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

/** A log for what others cause: of each message so many lines a second, so that none of them fills a disk. */
export function limited(log: Lines, linesPerSecond: number): Lines {
  const limit = new LineLimit(linesPerSecond);
  const write =
    (level: keyof Lines): Lines[typeof level] =>
    (message, fields) => {
      const written = limit.take(message);
      if (written !== null) log[level](message, { ...fields, ...written });
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

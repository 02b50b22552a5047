import type { WriteStream } from 'node:tty';

/** The terminal's other screen, which leaves what stood on the first one as it was. */
export interface AlternateScreen extends Disposable {
  /** Draws these lines and nothing else. */
  draw(lines: readonly string[]): void;
}

/** Signals that end a process, and how shells number them. */
const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Goes over to the other screen and hides the cursor, until it is disposed of or the process ends, whether by itself, by
 * an error or by a signal.
 */
export function openAlternateScreen(stream: Pick<WriteStream, 'write'>): AlternateScreen {
  let isOpen = true;
  stream.write('\x1b[?1049h\x1b[?25l');
  const leave = (): void => {
    if (!isOpen) return;
    isOpen = false;
    stream.write('\x1b[?25h\x1b[?1049l');
    process.off('exit', leave);
    for (const [signal, onSignal] of handlers) process.off(signal, onSignal);
  };
  const handlers = Object.entries(signals).map(([signal, number]) => {
    const onSignal = (): void => {
      leave();
      process.exit(128 + number);
    };
    return [signal as NodeJS.Signals, onSignal] as const;
  });
  process.once('exit', leave);
  for (const [signal, onSignal] of handlers) process.on(signal, onSignal);
  return {
    draw(lines) {
      const body = lines.map((line) => `${line}\x1b[K`).join('\r\n');
      // One write between "begin" and "end synchronised update": a terminal that knows these shows no half frame.
      if (isOpen) stream.write(`\x1b[?2026h\x1b[H${body}\x1b[J\x1b[?2026l`);
    },
    [Symbol.dispose]: leave,
  };
}

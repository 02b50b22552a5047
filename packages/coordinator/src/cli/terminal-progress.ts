import { SingleBar } from 'cli-progress';
import type { Progress } from '../data/progress.js';

/** A bar on a terminal, a line at the end of each part elsewhere; all of it on stderr, so that stdout is the result. */
export function terminalProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  let bar: SingleBar | null = null;
  let started: { what: string; total: number } | null = null;
  return {
    begin: (what, total) => {
      started = { what, total };
      if (!stream.isTTY) return;
      const format = `${what.padEnd(18)} {bar} {value}/{total} · {eta_formatted} left`;
      bar = new SingleBar({
        ...{ format, stream, hideCursor: true, clearOnComplete: false, barsize: 30 },
        // Of many values: what is written comes in bursts. Before there are any the library has one that is no number.
        etaBuffer: 500,
        formatTime: (seconds: unknown) => (Number.isFinite(seconds) ? `${String(seconds)}s` : '?'),
      });
      bar.start(total, 0);
    },
    advance: (by) => bar?.increment(by),
    end: () => {
      bar?.stop();
      bar = null;
      if (!stream.isTTY && started !== null) stream.write(`${started.what}: ${started.total} done\n`);
      started = null;
    },
    note: (text) => void stream.write(`showtell: ${text}\n`),
  };
}

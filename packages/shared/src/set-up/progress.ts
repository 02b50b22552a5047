/** Where a set-up step tells what it does; {@link lineProgress} writes it for people. */
export interface Progress {
  /** One step begins; a line that stays. */
  step(text: string): void;
  /** How far the step is: `done` of `total` bytes. May be called often. */
  bytes(done: number, total: number): void;
  /** Closes an open progress line. */
  end(): void;
}

/** Says nothing. */
export const silent: Progress = { step: () => undefined, bytes: () => undefined, end: () => undefined };

interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Downloads smaller than this are over before a log's reader wonders. */
const worthLines = 50e6;

/**
 * Progress to `stream` (standard error by default): on a terminal a line drawn anew four times a second, elsewhere a
 * plain line at every further quarter, so that a log stays short.
 */
export function lineProgress(stream: Terminal = process.stderr, now: () => number = Date.now): Progress {
  const terminal = stream.isTTY === true;
  let current = '';
  let open = false;
  let lastDrawn = 0;
  let lastQuarter = 0;

  const close = (): void => {
    if (open) stream.write('\n');
    open = false;
  };
  return {
    step(text) {
      close();
      current = text;
      lastQuarter = 0;
      lastDrawn = 0;
      stream.write(`showtell: ${text}\n`);
    },
    bytes(done, total) {
      const share = total > 0 ? Math.min(1, done / total) : 0;
      const figures = `${megabytes(done)} of ${megabytes(total)} MB`;
      if (terminal) {
        if (done < total && now() - lastDrawn < 250) return;
        lastDrawn = now();
        const filled = Math.round(share * 30);
        const line = `  [${'#'.repeat(filled)}${'.'.repeat(30 - filled)}] ${Math.floor(share * 100)} %  ${figures}`;
        stream.write(`\r${line.slice(0, (stream.columns ?? 80) - 1)}\u001b[K`);
        open = true;
        return;
      }
      const quarter = Math.floor(share * 4);
      if (quarter <= lastQuarter || total < worthLines) return;
      lastQuarter = quarter;
      stream.write(`showtell: ${current}: ${quarter * 25} %, ${figures}\n`);
    },
    end: close,
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

/** Longest pause after failures in a row. */
const longestMs = 60_000;

/** Pause after the n-th failure in a row, from 1: half a second, doubled each time. */
export const backoffMs = (failures: number): number => Math.min(longestMs, 500 * 2 ** Math.min(failures - 1, 10));

/**
 * Keys to be worked on, each by one at a time. A key that is added while it waits is worked on once, at the earlier of
 * the times; one that is added while it is being worked on, once more afterwards.
 */
export class WorkQueue {
  private readonly timers = new Map<string, { readonly due: number; readonly timer: NodeJS.Timeout }>();
  private readonly working = new Map<string, Promise<void>>();
  /** Since when a key that is being worked on wants another round. */
  private readonly again = new Set<string>();
  private readonly failures = new Map<string, number>();
  private closed = false;

  /**
   * @param work gives the seconds after which the key is worked on again, null for never; what it throws is told to
   *   `failed`, and the key is worked on again after a pause
   */
  constructor(
    private readonly work: (key: string) => Promise<number | null>,
    private readonly failed: (key: string, error: unknown, pauseMs: number) => void,
  ) {}

  add(key: string, afterMs = 0): void {
    if (this.closed) return;
    if (this.working.has(key)) {
      if (afterMs === 0) this.again.add(key);
      return;
    }
    const due = Date.now() + afterMs;
    const waiting = this.timers.get(key);
    if (waiting !== undefined && waiting.due <= due) return;
    clearTimeout(waiting?.timer);
    this.timers.set(key, { due, timer: setTimeout(() => this.begin(key), afterMs) });
  }

  /** Begins nothing more. @returns once what was begun is done */
  async close(): Promise<void> {
    this.closed = true;
    for (const { timer } of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    await Promise.all(this.working.values());
  }

  private begin(key: string): void {
    this.timers.delete(key);
    this.working.set(key, this.round(key));
  }

  private async round(key: string): Promise<void> {
    let nextMs: number | null;
    try {
      const seconds = await this.work(key);
      nextMs = seconds === null ? null : seconds * 1000;
      this.failures.delete(key);
    } catch (error) {
      const failures = (this.failures.get(key) ?? 0) + 1;
      this.failures.set(key, failures);
      nextMs = backoffMs(failures);
      this.failed(key, error, nextMs);
    }
    this.working.delete(key);
    const wanted = this.again.delete(key);
    // What changed during a failure is worth no earlier try than the pause.
    if (wanted && !this.failures.has(key)) this.add(key);
    else if (nextMs !== null) this.add(key, nextMs);
  }
}

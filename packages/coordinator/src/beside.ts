import type { Logger } from '@showtell/shared/service/log.js';

/** Work beside the run's loop: its failure is logged and ends nothing, and none begins once the run is over. */
export class Beside {
  #isOver = false;

  constructor(private readonly log: Logger) {}

  get isOver(): boolean {
    return this.#isOver;
  }

  /** @param what for the log */
  start(work: () => Promise<void>, what?: string): void {
    if (this.#isOver) return;
    work().catch((error: unknown) => this.log.error('something went wrong beside the run', { what, error }));
  }

  startIn(ms: number, what: string, work: () => Promise<void>): void {
    if (!this.#isOver) setTimeout(() => this.start(work, what), ms).unref();
  }

  end(): void {
    this.#isOver = true;
  }
}

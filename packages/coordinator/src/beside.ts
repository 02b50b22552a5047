import type { Logger } from '@showtell/shared/service/log.js';

/** Work beside the run's loop: its failure is logged and ends nothing, and none begins once the run is over. */
export class Beside {
  #isOver = false;

  constructor(private readonly log: Logger) {}

  get isOver(): boolean {
    return this.#isOver;
  }

  start(work: () => Promise<void>): void {
    if (this.#isOver) return;
    work().catch((error: unknown) => this.log.error('something went wrong beside the run', { error }));
  }

  startIn(ms: number, work: () => Promise<void>): void {
    if (!this.#isOver) setTimeout(() => this.start(work), ms).unref();
  }

  end(): void {
    this.#isOver = true;
  }
}

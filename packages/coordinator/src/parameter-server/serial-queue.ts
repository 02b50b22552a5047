/** Runs tasks one after the other, in the order in which they were asked for. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** @param what names who runs them, for the error that a task meets after {@link close} */
  constructor(private readonly what: string) {}

  /** @returns what the task gives; its failure keeps no later task from running */
  run<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#last.then(() => {
      if (this.#closed) throw new Error(`${this.what} is closed`);
      return task();
    });
    this.#last = run.catch(() => undefined);
    return run;
  }

  /** Lets the task at hand end; those behind it fail. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
  }
}

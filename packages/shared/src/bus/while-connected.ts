import { ErrorCode, Events, NatsError, type NatsConnection } from 'nats';

/** Who is told that the connection is back may hear of it before this is. */
const momentMs = 50;

/**
 * Whether a connection is up, for whoever waits for an answer over it. The client itself forgets what was asked when its
 * connection breaks, and lets it run into its time-out of 5 s.
 */
export class WhileConnected {
  #isUp = true;
  #losses = 0;
  readonly #onLoss = new Set<() => void>();
  readonly #onReturn = new Set<() => void>();

  constructor(connection: NatsConnection) {
    void this.#follow(connection);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** How often the connection has been lost. */
  get losses(): number {
    return this.#losses;
  }

  /**
   * Asks something and waits for its answer as long as the connection holds.
   * @throws NatsError `DISCONNECT` when the connection is away, or goes before the answer has come; what the request throws
   */
  async ask<T>(request: () => Promise<T>): Promise<T> {
    if (!(await this.untilUp(momentMs))) throw NatsError.errorForCode(ErrorCode.Disconnect);
    let lose: () => void = () => undefined;
    const lost = new Promise<never>((_, reject) => {
      lose = () => reject(NatsError.errorForCode(ErrorCode.Disconnect));
    });
    this.#onLoss.add(lose);
    try {
      return await Promise.race([request(), lost]);
    } finally {
      this.#onLoss.delete(lose);
    }
  }

  /** Waits until the connection is up, for so long at most. @returns whether it is */
  async untilUp(mostMs: number): Promise<boolean> {
    if (this.#isUp) return true;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#onReturn.delete(done);
        resolve();
      };
      const timer = setTimeout(done, mostMs);
      this.#onReturn.add(done);
    });
    return this.#isUp;
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === Events.Disconnect) {
        this.#isUp = false;
        this.#losses++;
        for (const lose of [...this.#onLoss]) lose();
      } else if (type === Events.Reconnect) {
        this.#isUp = true;
        for (const done of [...this.#onReturn]) done();
      }
    }
  }
}

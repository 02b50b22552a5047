import { ErrorCode, NatsError, type NatsConnection } from 'nats';
import { connectBus, type BusState } from '@showtell/shared/bus/connect.js';
import { UnitQueuePublisher } from '@showtell/shared/bus/unit-queue.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { TlsFolder } from '@showtell/shared/security/tls-folder.js';
import type { Logger } from '@showtell/shared/service/log.js';
import type { Beside } from './beside.js';
import type { Dispatcher } from './dispatcher.js';

export interface BrokerOptions {
  readonly url: string;
  readonly run: string;
  readonly generation: number;
  readonly leaseMs: number;
  readonly tls: TlsFolder | null;
  readonly beside: Beside;
  readonly log: Logger;
  /** What the queue is filled from again. */
  readonly dispatcher: () => Dispatcher;
  /** The connection is gone for good. */
  readonly onLost: (error: ShowtellError) => void;
}

/** How long the connection may take to close. */
const closeMs = 3_000;

/** The connection to NATS and the run's queue there, rebuilt from what is outstanding whenever the broker was away. */
export class Broker implements AsyncDisposable {
  /** Set while the broker may lack what was published. */
  #wasAway = false;

  private constructor(
    private readonly options: BrokerOptions,
    readonly bus: NatsConnection,
    readonly queue: UnitQueuePublisher,
  ) {}

  /** @throws ShowtellError `bus/unreachable`, `bus/refused` */
  static async open(options: BrokerOptions): Promise<Broker> {
    const { url, run, generation, leaseMs, tls } = options;
    let onState = (state: BusState): void => options.log.warn(`the broker's connection: ${state.type}`);
    const bus = await connectBus({
      servers: [url],
      name: `showtell coordinator ${run}`,
      tls,
      onState: (state) => onState(state),
    });
    try {
      const broker = new Broker(options, bus, await UnitQueuePublisher.open(bus, { run, generation, leaseMs }));
      onState = (state) => broker.#follow(state);
      return broker;
    } catch (error) {
      await bus.close();
      // Such as a server that went, or whose answer was damaged on its way: starting again may do.
      if (error instanceof NatsError && error.code === (ErrorCode.Timeout as string))
        throw new ShowtellError('bus/unreachable', { servers: url }, { cause: error });
      throw error;
    }
  }

  get isThere(): boolean {
    return !this.bus.isClosed();
  }

  /** It did not take an offer: {@link restore} makes it again. */
  noteAway(error: unknown): void {
    if (this.options.beside.isOver) return;
    this.#wasAway = true;
    this.options.log.warn('the broker did not take an offer; it is made again', { error });
  }

  /** Publishes what the broker lacks, if it was away. */
  async restore(): Promise<void> {
    if (!this.#wasAway || !this.isThere) return;
    this.#wasAway = false;
    const { dispatcher, log } = this.options;
    try {
      if (await this.queue.ensure()) await dispatcher().republish();
      else await dispatcher().catchUp();
    } catch (error) {
      this.#wasAway = true;
      log.warn('the queue could not be restored yet', { error });
    }
  }

  #follow(state: BusState): void {
    const { log, url, beside, onLost } = this.options;
    log.warn(`the broker's connection: ${state.type}`);
    if (state.type === 'lost') onLost(new ShowtellError('bus/unreachable', { servers: url }, { cause: state.cause }));
    if (state.type !== 'reconnected') return;
    this.#wasAway = true;
    beside.start(() => this.restore());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.bus.drain().catch(() => this.bus.close());
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, closeMs).unref())]);
    // Where the connection is down, draining ends and leaves it trying to come back.
    if (!this.bus.isClosed()) await this.bus.close();
  }
}

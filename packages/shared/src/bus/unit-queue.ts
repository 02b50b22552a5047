import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  ErrorCode,
  headers,
  nanos,
  NatsError,
  RetentionPolicy,
  StorageType,
  type ConsumerInfo,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  type MsgHdrs,
  type NatsConnection,
} from 'nats';
import { Unit, type UnitId } from '../generated/showtell/v1/unit.js';
import { ShowtellError } from '../errors.js';
import { isSealed, seal } from '../rpc/seal.js';
import type { TraceCarrier } from '../service/tracing.js';
import { decodeUnit } from './unit-message.js';
import { WhileConnected } from './while-connected.js';

/**
 * The queue of work units on JetStream; the one place that knows it.
 *
 * Two lanes in one stream: `now` holds what the current step waits for, `ahead` what may be prefetched. The stream lives
 * in the broker's memory and is rebuilt, never trusted: the coordinator can derive every message again.
 */
export const lanes = ['now', 'ahead'] as const;
export type Lane = (typeof lanes)[number];

/** A unit held by this process until it is settled; settle each lease exactly once. */
export interface Lease {
  readonly unit: Unit & { id: UnitId };
  readonly lane: Lane;
  /** The trace that the offer is part of, from the message's headers. */
  readonly trace: TraceCarrier;
  /** Tells the broker that work goes on: the lease runs anew for its whole length. */
  extend(): void;
  /** The unit is done, or nobody needs it any more. */
  acknowledge(): void;
  /** Offers it to others at once. */
  giveBack(): void;
}

/** Units of one lane. */
export interface QueueDepth {
  /** Offered, and taken by nobody yet. */
  readonly pending: number;
  /** Taken, and not settled yet. */
  readonly unacknowledged: number;
}

function depthOf(info: ConsumerInfo | undefined): QueueDepth {
  return { pending: info?.num_pending ?? 0, unacknowledged: info?.num_ack_pending ?? 0 };
}

/** What identifies an offer, spelt out for subjects and message ids. */
function pathOf(id: UnitId): string {
  return `${id.lineage}.${id.step}.${id.evaluation ? 'e' : 'u'}${id.index}`;
}

export function unitStreamName(run: string, generation: number): string {
  return `showtell-${run}-g${generation}`;
}

function subjectRoot(run: string, generation: number): string {
  return `showtell.${run}.g${generation}.units`;
}

/** Whether the broker no longer has what was asked for, as after its restart. */
function isMissing(error: unknown): boolean {
  return error instanceof NatsError && error.api_error?.code === 404;
}

/** The coordinator's end: makes the stream, publishes offers, withdraws lanes. */
export class UnitQueuePublisher {
  private constructor(
    private readonly link: WhileConnected,
    private readonly client: JetStreamClient,
    private readonly manager: JetStreamManager,
    private readonly run: string,
    private readonly generation: number,
    private readonly leaseMs: number,
  ) {}

  /** Claims the run's queue for a generation: streams of older generations of the run are removed. */
  static async open(
    connection: NatsConnection,
    options: { readonly run: string; readonly generation: number; readonly leaseMs: number },
  ): Promise<UnitQueuePublisher> {
    const manager = await connection.jetstreamManager();
    const queue = new UnitQueuePublisher(
      new WhileConnected(connection),
      connection.jetstream(),
      manager,
      options.run,
      options.generation,
      options.leaseMs,
    );
    const prefix = unitStreamName(options.run, 0).slice(0, -1);
    for await (const name of manager.streams.names(`showtell.${options.run}.*.units.>`)) {
      // A coordinator that was overtaken while it opened must not take the newer one's queue away.
      if (Number(name.slice(prefix.length)) < options.generation) await manager.streams.delete(name);
    }
    await queue.ensure();
    return queue;
  }

  get stream(): string {
    return unitStreamName(this.run, this.generation);
  }

  /** Makes the stream and its lanes if the broker does not have them. @returns whether it had lost them. */
  async ensure(): Promise<boolean> {
    const root = subjectRoot(this.run, this.generation);
    const wasThere = await this.hasStream();
    if (!wasThere) await this.addStream(root);
    // Also beside a stream that is there: the broker may have gone between the two. Adding the same again is nothing.
    for (const lane of lanes) await this.addLane(root, lane);
    return !wasThere;
  }

  private async hasStream(): Promise<boolean> {
    try {
      await this.link.ask(() => this.manager.streams.info(this.stream));
      return true;
    } catch (error) {
      if (!isMissing(error)) throw error;
      return false;
    }
  }

  private async addStream(root: string): Promise<void> {
    await this.manager.streams.add({
      name: this.stream,
      subjects: [`${root}.>`],
      storage: StorageType.Memory,
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
      duplicate_window: nanos(120_000),
    });
  }

  private async addLane(root: string, lane: Lane): Promise<void> {
    await this.manager.consumers.add(this.stream, {
      durable_name: lane,
      filter_subject: `${root}.${lane}.>`,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      ack_wait: nanos(this.leaseMs),
      max_deliver: -1,
      max_ack_pending: 100_000,
      mem_storage: true,
    });
  }

  /**
   * Publishes one offer; an offer already published (same id and attempt) is dropped by the broker.
   * @throws when the broker is away, or goes before it has said that it took the offer
   */
  async publish(lane: Lane, unit: Unit & { id: UnitId }, trace: TraceCarrier = {}): Promise<void> {
    const subject = `${subjectRoot(this.run, this.generation)}.${lane}.${pathOf(unit.id)}`;
    const msgID = `${this.run}.${this.generation}.${pathOf(unit.id)}.${unit.id.attempt}`;
    const entries = Object.entries(trace);
    const carried = entries.length === 0 ? {} : { headers: headersOf(entries) };
    const message = seal(Unit.encode(unit).finish());
    await this.link.ask(() => this.client.publish(subject, message, { msgID, ...carried }));
  }

  /** How many units each lane holds, as the broker counts them. @throws when it is away, or has lost the queue */
  async depth(): Promise<Record<Lane, QueueDepth>> {
    const [now, ahead] = await Promise.all(lanes.map((lane) => this.manager.consumers.info(this.stream, lane)));
    return { now: depthOf(now), ahead: depthOf(ahead) };
  }

  /** Takes back every offer nobody holds, as at a rollback. */
  async purge(): Promise<void> {
    await this.link.ask(() => this.manager.streams.purge(this.stream));
  }

  /** Removes the queue at the run's end. */
  async remove(): Promise<void> {
    try {
      await this.manager.streams.delete(this.stream);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}

/** A worker's end: pulls one unit at a time from a lane. */
export class UnitQueue {
  private readonly client: JetStreamClient;
  private readonly link: WhileConnected;

  constructor(
    connection: NatsConnection,
    readonly stream: string,
  ) {
    this.client = connection.jetstream();
    this.link = new WhileConnected(connection);
  }

  /**
   * The next unit of a lane, or null when none came within `waitMs` (0: when none is there now).
   *
   * While the broker or the stream is away this is null as well: the coordinator rebuilds it, the worker asks again.
   * @throws ShowtellError `bus/damaged-message`
   */
  async pull(lane: Lane, waitMs = 0): Promise<Lease | null> {
    if (!(await this.link.untilUp(awayMs))) return null;
    let message: JsMsg;
    try {
      const answer = await this.request(lane, waitMs);
      if (answer === null) return null;
      message = answer;
    } catch (error) {
      if (error instanceof NatsError && isWithoutMessage(error)) return null;
      throw error;
    }
    if (!isSealed(message.data)) {
      // Once it is given up, it is missed when the run stalls, and offered anew.
      if (message.info.deliveryCount < damagedDeliveries) message.nak();
      else message.term('it is damaged');
      throw new ShowtellError('bus/damaged-message', { stream: this.stream, message: message.seq });
    }
    const unit = decodeUnit(message.data);
    if (unit === null) {
      message.term('no unit that can be worked on');
      return null;
    }
    // A broker that came back without its memory numbers its messages anew: what is said of an old one would settle
    // another unit's. A broker that kept its memory offers the unit again, and its result is a duplicate.
    const { losses } = this.link;
    const ifCurrent = (settle: () => void) => (): void => {
      if (losses === this.link.losses) settle();
    };
    return {
      unit,
      lane,
      trace: traceIn(message.headers),
      extend: ifCurrent(() => message.working()),
      acknowledge: ifCurrent(() => message.ack()),
      giveBack: ifCurrent(() => message.nak()),
    };
  }

  /** One request. The client forgets one that is under way when it is closed: then it ends by the clock. */
  private async request(lane: Lane, waitMs: number): Promise<JsMsg | null> {
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const unanswered = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), waitMs + unansweredMs);
    });
    const ask = async (): Promise<JsMsg> => {
      // The newer consumer API opens a subscription for each message.
      // eslint-disable-next-line @typescript-eslint/no-deprecated
      const message = await this.client.pull(this.stream, lane, waitMs);
      // The broker kept the request while the connection was away, and answers nobody.
      if (isOver) message.nak();
      return message;
    };
    try {
      return await Promise.race([this.link.ask(ask), unanswered]);
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }
}

function headersOf(entries: readonly (readonly [string, string])[]): MsgHdrs {
  const carried = headers();
  for (const [name, value] of entries) carried.set(name, value);
  return carried;
}

function traceIn(carried: MsgHdrs | undefined): TraceCarrier {
  const parent = carried?.get('traceparent') ?? '';
  if (parent === '') return {};
  const state = carried?.get('tracestate') ?? '';
  return { traceparent: parent, ...(state === '' ? {} : { tracestate: state }) };
}

/** So often a message that is damaged is asked for again: the damage may have been on its way here. */
const damagedDeliveries = 3;

/** While the broker is away a worker looks so often whether it still wants a unit. */
const awayMs = 1_000;

/** The client gives a request up after 5 s; this is longer. */
const unansweredMs = 6_000;

/** 404 and 408 are JetStream's "no message" and "request expired"; 503 is "no responders", as while a stream is rebuilt. */
function isWithoutMessage(error: NatsError): boolean {
  const codes: readonly string[] = [
    '404',
    '408',
    '409',
    '503',
    ErrorCode.Timeout,
    ErrorCode.NoResponders,
    ErrorCode.Disconnect,
  ];
  return codes.includes(error.code) || error.api_error?.code === 404;
}

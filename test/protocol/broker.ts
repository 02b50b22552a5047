import type { Lane, Lease, UnitQueuePublisher } from '@showtell/shared/bus/unit-queue.js';
import type { Unit, UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';

type Offer = Unit & { id: UnitId };

interface Message {
  readonly offer: Offer;
  readonly lane: Lane;
  /** Whoever holds it; null while anyone may have it. */
  holder: string | null;
}

const idOf = ({ generation, lineage, step, index, attempt, evaluation }: UnitId): string =>
  `${generation}.${lineage}.${step}.${evaluation ? 'e' : 'u'}${index}.${attempt}`;

/**
 * JetStream as far as the unit queue relies on it: one stream a generation with two lanes, each message to one holder
 * at a time until it is acknowledged, given back or its lease runs out; a repeated message id is dropped; a restart
 * forgets everything, and what is said of a lease of before settles nothing.
 */
export class Broker {
  private readonly messages: Message[] = [];
  private readonly seen = new Set<string>();
  private restarts = 0;

  /** The queue of a generation as its coordinator sees it, older ones removed. */
  open(generation: number): Pick<UnitQueuePublisher, 'publish' | 'purge'> {
    this.remove((message) => message.offer.id.generation < generation);
    return {
      publish: async (lane, offer) => {
        const id = idOf(offer.id);
        if (this.seen.has(id)) return;
        this.seen.add(id);
        this.messages.push({ offer, lane, holder: null });
      },
      purge: async () =>
        this.remove((message) => message.offer.id.generation === generation && message.holder === null),
    };
  }

  /** The first message of a lane that nobody holds. */
  pull(lane: Lane, generation: number, holder: string): Lease | null {
    const message = this.messages.find((one) => this.isOpen(one, lane, generation));
    if (message === undefined) return null;
    message.holder = holder;
    const { restarts } = this;
    const ifCurrent = (settle: () => void) => () => {
      if (restarts === this.restarts) settle();
    };
    return {
      unit: message.offer,
      lane,
      trace: {},
      extend: () => undefined,
      acknowledge: ifCurrent(() => this.remove((one) => one === message)),
      giveBack: ifCurrent(() => (message.holder = null)),
    };
  }

  has(lane: Lane, generation: number): boolean {
    return this.messages.some((one) => this.isOpen(one, lane, generation));
  }

  private isOpen({ lane, holder, offer }: Message, wanted: Lane, generation: number): boolean {
    return holder === null && lane === wanted && offer.id.generation === generation;
  }

  /** Holders of leases that could run out. */
  get holders(): string[] {
    return [...new Set(this.messages.flatMap(({ holder }) => holder ?? []))];
  }

  /** All leases of a holder run out. */
  expire(holder: string): void {
    for (const message of this.messages) if (message.holder === holder) message.holder = null;
  }

  /** It comes back without its memory. */
  restart(): void {
    this.messages.length = 0;
    this.seen.clear();
    this.restarts++;
  }

  private remove(unwanted: (message: Message) => boolean): void {
    for (let i = this.messages.length - 1; i >= 0; i--)
      if (unwanted(this.messages[i] as Message)) this.messages.splice(i, 1);
  }

  /** What it holds, for telling states apart. */
  describe(): string {
    const messages = this.messages.map(({ offer, lane, holder }) => `${idOf(offer.id)}${lane[0] ?? ''}${holder ?? ''}`);
    return `${messages.join(' ')}/${[...this.seen].sort().join(' ')}`;
  }
}

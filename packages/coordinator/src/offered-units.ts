import type { Lane } from '@showtell/shared/bus/unit-queue.js';
import type { Unit, UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { offerKey, type Workers } from './workers.js';

export type Offer = Unit & { id: UnitId };

/** Why a unit is offered again: the values of the metric's label. */
export type OfferReason =
  | 'given-back'
  | 'worker-lost'
  | 'worker-silent'
  | 'unit-failed'
  | 'refused'
  | 'too-stale'
  | 'straggler'
  | 'broker-lost';

/** Why a unit is offered again, and the same for a person, with who and what. */
export interface OfferCause {
  readonly reason: OfferReason;
  readonly detail: string;
}

/** A unit that was offered and is not settled. */
export interface OfferedUnit {
  offer: Offer;
  lane: Lane;
  /** Why it is to be offered again once its step is the current one; null when there is no need. */
  postponed: OfferCause | null;
  /** Whether the broker has said that it took the offer. */
  published: boolean;
  readonly madeAt: number;
  /** When it was offered last to whoever comes first. */
  offeredAt: number;
  /** Which of all publications the last one of it was. */
  order: number;
  /** Workers that it was offered to because another lags, and when. */
  readonly triedBy: Map<string, number>;
  /** Workers that had it and did not bring it in. */
  readonly undoneBy: Set<string>;
  /** Whether it will be offered again in a moment. */
  isPutOff: boolean;
}

const clock = (): number => performance.now();

/** The units that are offered and not settled, and which of them the current work waits for. */
export class OfferedUnits {
  private readonly units = new Map<string, OfferedUnit>();
  private current = 0;
  /** Since when that is the current step. */
  private currentSince = clock();
  /** Latest publication of which the unit was settled. */
  private latestSettled = 0;

  constructor(
    /** Whether each unit is applied as it comes: all that are open are needed then, and none waits for its turn. */
    private readonly isAsynchronous: boolean,
    private readonly workers: () => Workers,
  ) {}

  get step(): number {
    return this.current;
  }

  /** By {@link offerKey}, the first offered first. */
  get all(): readonly (readonly [string, OfferedUnit])[] {
    return [...this.units];
  }

  /** Those that the current work waits for. */
  get needed(): readonly (readonly [string, OfferedUnit])[] {
    return this.all.filter(([, unit]) => this.isNeeded(unit));
  }

  get(id: Parameters<typeof offerKey>[0]): OfferedUnit | null {
    return this.units.get(offerKey(id)) ?? null;
  }

  /** Nothing is offered, and `step` is what comes next. */
  clear(step: number): void {
    this.units.clear();
    this.current = step;
  }

  goOnTo(step: number): void {
    this.current = step;
    this.currentSince = clock();
  }

  add(offer: Offer, lane: Lane): OfferedUnit {
    const now = clock();
    const unit: OfferedUnit = {
      ...{ offer, lane, postponed: null, published: false, madeAt: now, offeredAt: now, order: 0 },
      ...{ triedBy: new Map<string, number>(), undoneBy: new Set<string>(), isPutOff: false },
    };
    this.units.set(offerKey(offer.id), unit);
    return unit;
  }

  /** A worker is gone: under its name another may try. */
  forget(worker: string): void {
    for (const { triedBy } of this.units.values()) triedBy.delete(worker);
  }

  settle(key: string): void {
    this.latestSettled = Math.max(this.latestSettled, this.units.get(key)?.order ?? 0);
    this.units.delete(key);
  }

  /** Whether it is still among them: not settled, nor withdrawn and offered anew. */
  has(unit: OfferedUnit): boolean {
    return this.get(unit.offer.id) === unit;
  }

  /** Whether the current step, or an evaluation, waits for it. */
  isNeeded({ offer }: OfferedUnit): boolean {
    return this.isAsynchronous || offer.id.evaluation || offer.id.step === this.current;
  }

  /** Since when the current work waits for it. */
  neededSince({ offer, madeAt }: OfferedUnit): number {
    return offer.id.evaluation || this.isAsynchronous ? madeAt : Math.max(madeAt, this.currentSince);
  }

  /** Whether a live worker has said that it has it. */
  isHeld({ offer }: OfferedUnit): boolean {
    return this.workers().holders(offerKey(offer.id)).length > 0;
  }

  /** Those of {@link needed} that some worker took and lost, as far as that can be known. */
  get orphans(): readonly OfferedUnit[] {
    const latest = this.isAsynchronous ? this.latestTaken() : Infinity;
    return this.needed.map(([, unit]) => unit).filter((unit) => !this.isHeld(unit) && unit.order < latest);
  }

  /**
   * Units are taken in the order in which they were published, so one that nobody holds was taken and lost if a later one
   * was taken, or if somebody has nothing to do: else it may lie in the queue still.
   */
  private latestTaken(): number {
    const { list } = this.workers();
    if (list.length === 0 || list.some(({ leases }) => leases.size === 0)) return Infinity;
    return Math.max(this.latestSettled, ...this.all.filter(([, unit]) => this.isHeld(unit)).map(([, unit]) => unit.order)); // prettier-ignore
  }
}

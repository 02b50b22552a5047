import type { UnitQueuePublisher, Lane } from '@showtell/shared/bus/unit-queue.js';
import type { Unit, UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Plan } from '@showtell/shared/plan/plan.js';
import { offerKey, type Worker, type Workers } from './workers.js';

type Offer = Unit & { id: UnitId };

interface Outstanding {
  offer: Offer;
  lane: Lane;
  /** Whether the broker has said that it took the offer. */
  published: boolean;
  /** Workers that reported they could not compute it, or died while they held it, and how. */
  readonly failures: string[];
  /** Results that the parameter server refused. */
  readonly refusals: string[];
}

/** Distinct failures of a unit after which the fault is the unit's. */
const failuresPerUnit = 3;
/** A wrong gradient is recomputed once: the same numbers again are the unit's, not the worker's. */
const refusalsPerUnit = 2;

/** Why a unit is offered again: the values of the metric's label. */
export type OfferReason = 'worker-lost' | 'worker-silent' | 'unit-failed' | 'refused' | 'straggler' | 'broker-lost';

export interface DispatcherOptions {
  readonly run: string;
  readonly generation: number;
  /** Steps published ahead of the current one. */
  readonly lookAhead: number;
  readonly plan: Plan;
  readonly queue: UnitQueuePublisher;
  readonly workers: () => Workers;
  /** Names a unit's records for a person. */
  readonly describe: (unit: Unit) => string;
  /** @param detail the same for a person, with who and what */
  readonly onOfferedAgain: (unit: UnitId, reason: OfferReason, detail: string) => void;
  /** The broker took no message; what is missing there is published when it is back ({@link Dispatcher.catchUp}). */
  readonly onBrokerAway: (error: unknown) => void;
  /** Units of the step that begins may have gone with a worker that never said it held them. */
  readonly onSuspectStep: (step: number) => void;
  /** A unit that cannot be computed ends the run. */
  readonly onPoison: (error: ShowtellError) => void;
}

/**
 * Keeps the queue a few steps ahead, and offers a unit again when whoever held it is gone.
 *
 * It publishes what the plan says and nothing else; whether a result counts is the parameter server's to decide, so an
 * offer too many costs time and never a bit.
 */
export class Dispatcher {
  private readonly outstanding = new Map<string, Outstanding>();
  /** First step not yet published. */
  private horizon = 0;
  private current = 0;
  private lineage = 1;
  /** Of the steps before this one units were published when a worker was lost. */
  private suspectBefore = 0;

  constructor(private readonly options: DispatcherOptions) {}

  /**
   * The next steps come from here on: at the start, after a rollback. Everything published before is withdrawn; what
   * cannot be, while the broker is away, is of an older lineage, which workers drop.
   */
  async restart(step: number, lineage: number): Promise<void> {
    this.outstanding.clear();
    this.horizon = step;
    this.suspectBefore = step;
    this.current = step;
    this.lineage = lineage;
    await this.options.queue.purge().catch(this.options.onBrokerAway);
  }

  /**
   * Makes `step` the current one and publishes as far as the look-ahead reaches.
   *
   * @param end first step that will not be taken.
   */
  async advance(step: number, end: number): Promise<void> {
    this.current = step;
    const until = Math.min(step + this.options.lookAhead + 1, end);
    const offers: Promise<void>[] = [];
    for (; this.horizon < until; this.horizon++) {
      const lane: Lane = this.horizon === step ? 'now' : 'ahead';
      for (const { index, records, seed } of this.options.plan.units(this.horizon)) {
        const id = this.identify(this.horizon, index, false);
        // Sent in this order; the broker's answers are awaited together.
        offers.push(this.offer(lane, { id, work: { $case: 'training', value: { records: [...records], seed } } }));
      }
    }
    await Promise.all(offers);
    if (step < this.suspectBefore) this.options.onSuspectStep(step);
  }

  /** Publishes an evaluation's units for the version of `step`. */
  async evaluate(step: number, work: readonly Extract<Unit['work'], { $case: 'evaluation' }>[]): Promise<void> {
    for (const [index, evaluation] of work.entries())
      await this.offer('now', { id: this.identify(step, index, true), work: evaluation });
  }

  /** A unit's result was accepted. */
  settle(id: Pick<UnitId, 'lineage' | 'step' | 'index' | 'evaluation'>): void {
    const key = offerKey(id);
    this.outstanding.delete(key);
    this.options.workers().settled(key);
  }

  /** Puts a unit that is still needed into the lane that is drained first, for anyone. */
  async offerAgain(id: UnitId, reason: OfferReason, detail: string): Promise<void> {
    const held = this.outstanding.get(offerKey(id));
    if (held === undefined) return;
    held.offer = { ...held.offer, id: { ...held.offer.id, attempt: held.offer.id.attempt + 1 } };
    held.lane = 'now';
    this.options.onOfferedAgain(held.offer.id, reason, detail);
    await this.publish(held);
  }

  /** A worker's session broke: what it held is offered again, and counts against the unit while others live. */
  async workerLeft(worker: Worker, died: boolean): Promise<void> {
    this.suspectBefore = this.horizon;
    for (const id of worker.leases.values()) {
      if (died && id.step === this.current && this.options.workers().list.length > 0)
        if (this.blame(id, worker, 'the worker died while it held the unit')) return;
      await this.offerAgain(id, 'worker-lost', `worker ${worker.id} ${died ? 'died' : 'left'}`);
    }
  }

  async unitFailed(worker: Worker, id: UnitId, detail: string): Promise<void> {
    if (this.blame(id, worker, detail)) return;
    await this.offerAgain(id, 'unit-failed', `worker ${worker.id} could not compute it: ${detail}`);
  }

  /** A gradient that is not finite, or no gradient: it is computed once more, elsewhere as it comes, before it counts. */
  async refused(id: UnitId, worker: string, detail: string): Promise<void> {
    const held = this.outstanding.get(offerKey(id));
    if (held === undefined) return;
    held.refusals.push(`${worker}: ${detail}`);
    if (held.refusals.length < refusalsPerUnit)
      return this.offerAgain(id, 'refused', `its result was refused: ${detail}`);
    this.stopFor(held, held.refusals);
  }

  /**
   * Offers every unit of the current work that no live worker holds, after one was lost: leases that nobody reported.
   *
   * @param step nothing is done when the run has gone on from it.
   */
  async offerOrphans(step = this.current): Promise<void> {
    if (step !== this.current) return;
    for (const { offer } of [...this.outstanding.values()]) {
      const needed = offer.id.evaluation || offer.id.step === this.current;
      if (needed && this.options.workers().holders(offerKey(offer.id)).length === 0)
        await this.offerAgain(offer.id, 'worker-lost', 'its worker is gone');
    }
  }

  /** Offers all that the current work waits for a second time, whoever holds it: a straggler's result may be overtaken. */
  async offerMissing(): Promise<void> {
    for (const { offer } of [...this.outstanding.values()])
      if (offer.id.evaluation || offer.id.step === this.current)
        await this.offerAgain(offer.id, 'straggler', 'nothing was heard of it');
  }

  /** After the broker lost the stream: everything not settled is published anew. */
  async republish(): Promise<void> {
    for (const { offer } of [...this.outstanding.values()])
      await this.offerAgain(offer.id, 'broker-lost', 'the broker lost its queue');
  }

  /** Publishes what the broker did not take while it was away. */
  async catchUp(): Promise<void> {
    for (const held of [...this.outstanding.values()]) {
      if (held.published) continue;
      if (!(await this.publish(held))) return;
    }
  }

  /** What the current work waits for, and who holds it: what a stall's message says. */
  missing(): { unit: string; holders: string[] }[] {
    return [...this.outstanding.entries()]
      .filter(([, { offer }]) => offer.id.evaluation || offer.id.step === this.current)
      .map(([key, { offer }]) => ({
        unit: `${offer.id.evaluation ? 'evaluation ' : ''}step ${offer.id.step} unit ${offer.id.index}`,
        holders: this.options
          .workers()
          .holders(key)
          .map((worker) => worker.id),
      }));
  }

  private identify(step: number, index: number, evaluation: boolean): UnitId {
    const { run, generation } = this.options;
    return { run, generation, lineage: this.lineage, step, index, attempt: 1, evaluation };
  }

  private async offer(lane: Lane, offer: Offer): Promise<void> {
    const held: Outstanding = { offer, lane, published: false, failures: [], refusals: [] };
    this.outstanding.set(offerKey(offer.id), held);
    await this.publish(held);
  }

  /** A broker that is away keeps no step from being taken: the offer stays outstanding and is published later. */
  private async publish(held: Outstanding): Promise<boolean> {
    const { offer, lane } = held;
    held.published = false;
    try {
      await this.options.queue.publish(lane, offer);
      if (held.offer === offer) held.published = true;
      return true;
    } catch (error) {
      this.options.onBrokerAway(error);
      return false;
    }
  }

  /** @returns whether the run ends for it, so that it need not be offered again */
  private blame(id: UnitId, worker: Worker, detail: string): boolean {
    const held = this.outstanding.get(offerKey(id));
    if (held === undefined) return false;
    held.failures.push(`${worker.id}: ${detail}`);
    if (held.failures.length < failuresPerUnit) return false;
    this.stopFor(held, held.failures);
    return true;
  }

  private stopFor({ offer }: Outstanding, failures: readonly string[]): void {
    const { id } = offer;
    const unit = `${id.evaluation ? 'evaluation ' : ''}unit ${id.index} of step ${id.step}`;
    this.options.onPoison(new ShowtellError('unit/poison', { unit, failures, records: this.options.describe(offer) }));
  }
}

import type { UnitQueuePublisher, Lane } from '@showtell/shared/bus/unit-queue.js';
import { EvaluationKind, type Unit, type UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import type { Plan } from '@showtell/shared/plan/plan.js';
import { traced } from '@showtell/shared/service/tracing.js';
import { OfferedUnits, type OfferCause, type OfferedUnit, type OfferReason } from './offered-units.js';
import type { OpenSteps } from './open-steps.js';
import { secondOffers, type AwaitedUnit, type SecondOffer } from './second-offers.js';
import type { StepTraces } from './step-traces.js';
import { UnitJudge, type UnitJudgeOptions } from './unit-judge.js';
import { UnitTimes, type UnitKind } from './unit-times.js';
import { offerKey, type Worker, type Workers } from './workers.js';

/** Of more workers than that it is not kept who did not bring a unit in: the next is taken for one of them. */
const mostUndone = 64;

export interface DispatcherOptions extends UnitJudgeOptions {
  readonly run: string;
  readonly jobSha256: string;
  readonly generation: number;
  /** Whether each unit is applied as it comes: all that are open are needed then, and none waits for its turn. */
  readonly isAsynchronous: boolean;
  readonly plan: Pick<Plan, 'units'>;
  readonly queue: Pick<UnitQueuePublisher, 'publish' | 'purge'>;
  readonly traces: Pick<StepTraces, 'offer' | 'abandon'>;
  readonly workers: () => Workers;
  /** @param detail the same for a person, with who and what */
  readonly onOfferedAgain: (unit: UnitId, reason: OfferReason, detail: string) => void;
  /** The broker took no message; what is missing there is published when it is back ({@link Dispatcher.catchUp}). */
  readonly onBrokerAway: (error: unknown) => void;
  /** Units of the step that begins may have gone with a worker that never said it held them. */
  readonly onSuspectStep: (step: number) => void;
  /** Does something in half a second, if the run is not over then; `what` is for the log. */
  readonly soon: (what: string, work: () => Promise<void>) => void;
}

const clock = (): number => performance.now();

/**
 * Keeps the queue a few steps ahead, and offers a unit again when whoever held it is gone.
 *
 * It publishes what the plan says and nothing else; whether a result counts is the parameter server's to decide, so an
 * offer too many costs time and never a bit.
 */
export class Dispatcher {
  private readonly units: OfferedUnits;
  private readonly judge: UnitJudge;
  /** First step not yet published. */
  private horizon = 0;
  /** Steps before it that are to be published first: after an asynchronous run was resumed. */
  private gaps: readonly number[] = [];
  private published = 0;
  private phase: PhaseName = 'decoder-only';
  private lineage = 1;
  /** Of the steps before this one units were published when a worker was lost. */
  private suspectBefore = 0;
  readonly times = new UnitTimes();
  /** When each worker last gave a result that counted. */
  private readonly lastResults = new Map<string, number>();

  constructor(private readonly options: DispatcherOptions) {
    this.units = new OfferedUnits(options.isAsynchronous, options.workers);
    this.judge = new UnitJudge(options);
  }

  /**
   * The next steps come from here on: at the start, after a rollback. Everything published before is withdrawn; what
   * cannot be, while the broker is away, is of an older lineage, which workers drop.
   *
   * @param missing asynchronous mode: steps before the last applied one whose units are not, rising
   */
  async restart(step: number, lineage: number, missing: readonly number[] = []): Promise<void> {
    this.units.clear(step);
    this.judge.clear();
    this.options.traces.abandon();
    this.gaps = missing;
    this.horizon = step + missing.length;
    this.suspectBefore = step;
    this.lineage = lineage;
    await this.options.queue.purge().catch(this.options.onBrokerAway);
  }

  /**
   * Makes `step` the current one and publishes what is open.
   *
   * @param phase what the step trains
   */
  async advance(step: number, { until, oldestVersion }: OpenSteps, phase: PhaseName): Promise<void> {
    this.units.goOnTo(step);
    this.phase = phase;
    const due = [...this.gaps];
    this.gaps = [];
    for (; this.horizon < until; this.horizon++) due.push(this.horizon);
    const { jobSha256 } = this.options;
    const offers: Promise<unknown>[] = [];
    for (const each of due) {
      const lane: Lane = each === step || this.options.isAsynchronous ? 'now' : 'ahead';
      for (const { index, records, seed } of this.options.plan.units(each)) {
        const id = this.identify(each, index, false);
        const value = { records: [...records], seed, oldestVersion: oldestVersion(each) };
        const offer = { id, jobSha256, work: { $case: 'training', value } } as const;
        // Sent in this order; the broker's answers are awaited together.
        offers.push(this.publish(this.units.add(offer, lane)));
      }
    }
    await Promise.all(offers);
    await this.offerPostponed();
    if (step < this.suspectBefore) this.options.onSuspectStep(step);
  }

  /** Publishes an evaluation's units for the version of `step`. */
  async evaluate(step: number, work: readonly Extract<Unit['work'], { $case: 'evaluation' }>[]): Promise<void> {
    const { jobSha256 } = this.options;
    for (const [index, evaluation] of work.entries()) {
      const id = this.identify(step, index, true);
      await this.publish(this.units.add({ id, jobSha256, work: evaluation }, 'now'));
    }
  }

  /** A unit's result was accepted. */
  settle(id: Pick<UnitId, 'lineage' | 'step' | 'index' | 'evaluation'>, worker: string): void {
    const key = offerKey(id);
    const unit = this.units.get(id);
    const lease = this.options.workers().leaseOf(worker, key);
    if (this.options.workers().list.some(({ id: member }) => member === worker)) this.lastResults.set(worker, clock());
    if (unit !== null && lease !== null && this.units.isNeeded(unit))
      this.times.add(this.kindOf(unit), clock() - Math.max(this.units.neededSince(unit), lease.since));
    this.units.settle(key);
    this.judge.settle(key);
    this.options.workers().settled(key);
  }

  /**
   * A unit's result came too late to count: its worker has the unit no more. Where each unit is applied as it comes, one
   * that nobody else brought in is to be computed still, with a newer version.
   */
  async overtaken(id: UnitId, worker: string): Promise<void> {
    const hadIt = this.options.workers().release(worker, offerKey(id));
    const unit = this.units.get(id);
    if (!this.options.isAsynchronous || id.evaluation || unit === null || !hadIt) return;
    const detail = `worker ${worker} computed it with a version too old`;
    await this.offerAfter(unit, worker, { reason: 'too-stale', detail });
  }

  /**
   * Puts a unit that is still needed into the lane that is drained first, for anyone. One of a later step waits until
   * that step is the current one: in that lane it would stand before what the current step waits for, and workers that
   * have no room for it would get it again and again; in the other it would lie behind units of steps after its own.
   */
  async offerAgain(id: UnitId, reason: OfferReason, detail: string): Promise<void> {
    const unit = this.units.get(id);
    if (unit === null) return;
    if (this.units.isNeeded(unit)) await this.publishAgain(unit, 'now', { reason, detail });
    else unit.postponed = { reason, detail };
  }

  /**
   * A worker gave a unit back, which the broker offers in the lane that it came from: in the one for later steps nobody
   * may look for it any more, when all hold units of steps after it; one that came by the worker's session the broker does
   * not have. As a rule somebody takes it, so that is waited for.
   */
  givenBack(id: UnitId, worker: string, detail: string): void {
    const unit = this.units.get(id);
    if (unit === null || (unit.lane !== 'ahead' && !unit.triedBy.has(worker))) return;
    const cause = { reason: 'given-back', detail } as const;
    if (this.units.isNeeded(unit)) this.offerUnheldSoon(unit, cause, unit.lane);
    else unit.postponed ??= cause;
  }

  private async offerPostponed(): Promise<void> {
    for (const [, unit] of this.units.needed) {
      const { postponed } = unit;
      if (postponed === null || !this.units.isNeeded(unit)) continue;
      unit.postponed = null;
      if (postponed.reason === 'given-back') this.offerUnheldSoon(unit, postponed, 'ahead');
      else await this.offerUnheld(unit, postponed, 'ahead');
    }
  }

  private offerUnheldSoon(unit: OfferedUnit, cause: OfferCause, lane: Lane): void {
    const what = `offer ${offerKey(unit.offer.id)} again, unless it left the lane "${lane}"`;
    this.options.soon(what, () => this.offerUnheld(unit, cause, lane));
  }

  /**
   * Offers a unit again that is needed still and that no live worker holds.
   * @param lane in which it was offered last, else it has been offered again meanwhile; null: that does not count
   */
  private async offerUnheld(unit: OfferedUnit, cause: OfferCause, lane: Lane | null = null): Promise<void> {
    const isOfLane = lane === null || unit.lane === lane;
    const isWanted = this.units.has(unit) && this.units.isNeeded(unit) && isOfLane;
    if (isWanted && !this.units.isHeld(unit)) await this.publishAgain(unit, 'now', cause);
  }

  private async publishAgain(unit: OfferedUnit, lane: Lane, cause: OfferCause): Promise<void> {
    unit.lane = lane;
    this.nextAttempt(unit, cause);
    await this.publish(unit);
  }

  private nextAttempt(unit: OfferedUnit, { reason, detail }: OfferCause): void {
    const { id } = unit.offer;
    unit.offer = { ...unit.offer, id: { ...id, attempt: id.attempt + 1 } };
    this.options.onOfferedAgain(unit.offer.id, reason, detail);
  }

  /** A worker's session broke: what it held is offered again, and is held against the units that it may have died of. */
  async workerLeft(worker: Worker, died: boolean): Promise<void> {
    this.suspectBefore = this.horizon;
    this.lastResults.delete(worker.id);
    this.units.forget(worker.id);
    const suspects = died ? this.suspects(worker) : [];
    for (const { unit: id } of worker.leases.values()) {
      const unit = this.units.get(id);
      if (unit !== null && suspects.includes(unit)) this.judge.lost(unit.offer, worker);
      await this.offerAgain(id, 'worker-lost', `worker ${worker.id} ${died ? 'died' : 'left'}`);
    }
  }

  workerJoined(worker: Worker): void {
    this.judge.joined(worker);
  }

  /**
   * What a worker that died may have died of: all it held that the current work waits for. Where each unit is applied as it
   * comes that would be everything; there it is what it held longest, since it computes them in turn.
   */
  private suspects({ leases }: Worker): readonly OfferedUnit[] {
    const held = [...leases.values()].flatMap(({ unit }) => this.units.get(unit) ?? []);
    const needed = held.filter((unit) => this.units.isNeeded(unit));
    return this.options.isAsynchronous ? needed.slice(0, 1) : needed;
  }

  /** @param code of the error table; empty for none */
  async unitFailed({ id: worker }: Worker, id: UnitId, detail: string, code: string): Promise<void> {
    const unit = this.units.get(id);
    if (unit === null || this.judge.failed(unit.offer, { worker, detail, code })) return;
    const cause = { reason: 'unit-failed', detail: `worker ${worker} could not compute it: ${detail}` } as const;
    await this.offerAfter(unit, worker, cause);
  }

  /**
   * A gradient that is not finite, or no gradient: it is computed anew, elsewhere as it comes, before it counts. Of a
   * worker that did not have the unit it changes nothing.
   */
  async refused(id: UnitId, worker: string, detail: string): Promise<void> {
    const hadIt = this.options.workers().release(worker, offerKey(id));
    const unit = this.units.get(id);
    if (unit === null || !hadIt || this.judge.refused(unit.offer, { worker, detail })) return;
    await this.offerAfter(unit, worker, { reason: 'refused', detail: `its result was refused: ${detail}` });
  }

  /**
   * Offers a unit again that a worker had and did not bring in: at once when it is the first time, else in a moment. Who is
   * quick to fail would be the first to have it again, and fill the queue with it.
   */
  private async offerAfter(unit: OfferedUnit, worker: string, cause: OfferCause): Promise<void> {
    const { id } = unit.offer;
    const isFirst = !unit.undoneBy.has(worker) && unit.undoneBy.size < mostUndone;
    if (isFirst) {
      unit.undoneBy.add(worker);
      await this.offerAgain(id, cause.reason, cause.detail);
      return;
    }
    if (unit.isPutOff) return;
    unit.isPutOff = true;
    this.options.soon(`offer ${offerKey(id)} again, which was put off`, async () => {
      unit.isPutOff = false;
      if (this.units.isNeeded(unit)) await this.offerUnheld(unit, cause);
      else unit.postponed ??= cause;
    });
  }

  /**
   * Offers every unit of the current work that no live worker holds, after one was lost: leases that nobody reported.
   *
   * @param step nothing is done when the run has gone on from it, unless each unit is applied as it comes.
   */
  async offerOrphans(step = this.units.step): Promise<void> {
    if (step !== this.units.step && !this.options.isAsynchronous) return;
    for (const unit of this.units.orphans)
      await this.offerUnheld(unit, { reason: 'worker-lost', detail: 'its worker is gone' });
  }

  /**
   * Offers units that lag to workers that have nothing to do for the current work, by their sessions: the queue might give
   * them to whoever holds them already. The first result counts.
   *
   * @param overdueMs after how long a unit lags
   * @param notBefore when a wait begins at the earliest, by `performance.now()`
   */
  offerLagging(overdueMs: (kind: UnitKind) => number, notBefore = 0): void {
    const workers = this.options.workers();
    // What is put off is offered in a moment, to whoever comes first.
    const needed = this.units.needed.filter(([, unit]) => !unit.isPutOff);
    const isIdle = ({ leases, report, id }: Worker): boolean =>
      report?.state !== 'draining' && !needed.some(([key, { triedBy }]) => leases.has(key) || triedBy.has(id));
    const lastResult = ({ id }: Worker): number => this.lastResults.get(id) ?? 0;
    const idle = workers.list.filter(isIdle).sort((a, b) => lastResult(b) - lastResult(a));
    if (idle.length === 0) return;
    const awaited = needed.map(([key, unit]): AwaitedUnit => {
      const holders = workers.holders(key).map(({ id }) => id);
      const leases = holders.map((id) => workers.leaseOf(id, key)?.since ?? 0);
      const offered = [this.units.neededSince(unit), unit.offeredAt, ...unit.triedBy.values()];
      const since = Math.max(notBefore, ...offered, ...leases);
      return { key, kind: this.kindOf(unit), holders, triedBy: [...unit.triedBy.keys()], since };
    });
    const ids = idle.map(({ id }) => id);
    const units = new Map(needed);
    for (const second of secondOffers(awaited, ids, overdueMs, clock())) {
      const unit = units.get(second.key);
      if (unit !== undefined) this.offerSecond(unit, second);
    }
  }

  private offerSecond(unit: OfferedUnit, { key, worker, waitedMs }: SecondOffer): void {
    const workers = this.options.workers();
    const holders = workers.holders(key).map(({ id }) => id);
    const slow = holders.length === 0 ? 'nobody has said to hold it' : `worker ${holders.join(' and ')} has been at it`;
    const detail = `${slow} for ${(waitedMs / 1000).toFixed(1)} s: worker ${worker} computes it${holders.length === 0 ? '' : ' too'}`;
    unit.triedBy.set(worker, clock());
    this.nextAttempt(unit, { reason: 'straggler', detail });
    const span = this.options.traces.offer(unit.offer.id, 'now');
    workers.offer(worker, { unit: unit.offer, trace: span.carrier });
    span.end();
  }

  private kindOf({ offer }: OfferedUnit): UnitKind {
    if (offer.work?.$case !== 'evaluation') return this.phase;
    return offer.work.value.kind === EvaluationKind.EVALUATION_KIND_CAPTIONS ? 'captions' : 'perplexity';
  }

  /**
   * Offers all that the current work waits for a second time, whoever holds it: a straggler's result may be overtaken. While
   * nobody is there it would lie in the queue twice.
   */
  async offerMissing(): Promise<void> {
    if (this.options.workers().list.length === 0) return;
    for (const [, unit] of this.units.needed)
      if (this.units.isNeeded(unit))
        await this.publishAgain(unit, 'now', { reason: 'straggler', detail: 'nothing was heard of it' });
  }

  /** After the broker lost the stream: everything not settled is published anew. */
  async republish(): Promise<void> {
    const cause = { reason: 'broker-lost', detail: 'the broker lost its queue' } as const;
    const rising = this.units.all.map(([, unit]) => unit).sort((a, b) => a.offer.id.step - b.offer.id.step);
    for (const unit of rising) await this.publishAgain(unit, this.units.isNeeded(unit) ? 'now' : 'ahead', cause);
  }

  /** Publishes what the broker did not take while it was away. */
  async catchUp(): Promise<void> {
    for (const [, unit] of this.units.all) {
      if (unit.published) continue;
      if (!(await this.publish(unit))) return;
    }
  }

  /** What the current work waits for, and who holds it: what a stall's message says. */
  missing(): { unit: string; holders: string[] }[] {
    return this.units.needed.map(([key, { offer }]) => ({
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

  /** A broker that is away keeps no step from being taken: the offer stays outstanding and is published later. */
  private async publish(unit: OfferedUnit): Promise<boolean> {
    const { offer, lane } = unit;
    unit.published = false;
    unit.offeredAt = clock();
    unit.order = ++this.published;
    const span = this.options.traces.offer(offer.id, lane);
    try {
      await traced(span, () => this.options.queue.publish(lane, offer, span.carrier));
      if (unit.offer === offer) unit.published = true;
      return true;
    } catch (error) {
      this.options.onBrokerAway(error);
      return false;
    }
  }
}

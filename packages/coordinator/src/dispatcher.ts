import type { UnitQueuePublisher, Lane } from '@showtell/shared/bus/unit-queue.js';
import { EvaluationKind, type Unit, type UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { ShowtellError } from '@showtell/shared/errors.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import type { Plan } from '@showtell/shared/plan/plan.js';
import { traced } from '@showtell/shared/service/tracing.js';
import type { OpenSteps } from './open-steps.js';
import { secondOffers, type AwaitedUnit } from './second-offers.js';
import type { StepTraces } from './step-traces.js';
import { UnitFaults, type AccusedUnit } from './unit-faults.js';
import { UnitTimes, type UnitKind } from './unit-times.js';
import { offerKey, type Worker, type Workers } from './workers.js';

type Offer = Unit & { id: UnitId };

interface Outstanding {
  offer: Offer;
  lane: Lane;
  /** Why it is to be offered again once its step is the current one; null when there is no need. */
  postponed: { readonly reason: OfferReason; readonly detail: string } | null;
  /** Whether the broker has said that it took the offer. */
  published: boolean;
  readonly madeAt: number;
  /** Which of all publications the last one of it was. */
  order: number;
  /** Workers that it was offered to because another lags, and when. */
  readonly triedBy: Map<string, number>;
  readonly faults: UnitFaults;
  /** Workers that had it and did not bring it in. */
  readonly undoneBy: Set<string>;
  /** Whether it will be offered again in a moment. */
  isPutOff: boolean;
  /** Whether it will be asked in a moment if workers died of it. */
  isJudged: boolean;
}

/** Of more workers than that it is not kept who did not bring a unit in: the next is taken for one of them. */
const mostUndone = 64;

/** So long after its session broke a worker is waited for, before a unit is said to have killed it. */
export const returnMs = 5_000;

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

export interface DispatcherOptions {
  readonly run: string;
  readonly generation: number;
  /** Whether each unit is applied as it comes: all that are open are needed then, and none waits for its turn. */
  readonly isAsynchronous: boolean;
  readonly plan: Pick<Plan, 'units'>;
  readonly queue: Pick<UnitQueuePublisher, 'publish' | 'purge'>;
  readonly traces: Pick<StepTraces, 'offer' | 'abandon'>;
  readonly workers: () => Workers;
  /** Names a unit's records for a person. */
  readonly describe: (unit: Unit) => string;
  /** @param detail the same for a person, with who and what */
  readonly onOfferedAgain: (unit: UnitId, reason: OfferReason, detail: string) => void;
  /** The broker took no message; what is missing there is published when it is back ({@link Dispatcher.catchUp}). */
  readonly onBrokerAway: (error: unknown) => void;
  /** Units of the step that begins may have gone with a worker that never said it held them. */
  readonly onSuspectStep: (step: number) => void;
  /** Does something in half a second, if the run is not over then; `what` is for the log. */
  readonly soon: (what: string, work: () => Promise<void>) => void;
  /** The same after {@link returnMs}. */
  readonly later: (what: string, work: () => Promise<void>) => void;
  /** A unit that cannot be computed ends the run. */
  readonly onPoison: (error: ShowtellError) => void;
}

const clock = (): number => performance.now();

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
  /** Steps before it that are to be published first: after an asynchronous run was resumed. */
  private gaps: readonly number[] = [];
  private published = 0;
  /** Latest publication of which the unit was settled. */
  private latestSettled = 0;
  private current = 0;
  /** Since when that is the current step. */
  private currentSince = clock();
  private phase: PhaseName = 'decoder-only';
  private lineage = 1;
  /** Of the steps before this one units were published when a worker was lost. */
  private suspectBefore = 0;
  readonly times = new UnitTimes();
  /** When each worker last gave a result that counted. */
  private readonly lastResults = new Map<string, number>();

  constructor(private readonly options: DispatcherOptions) {}

  /**
   * The next steps come from here on: at the start, after a rollback. Everything published before is withdrawn; what
   * cannot be, while the broker is away, is of an older lineage, which workers drop.
   *
   * @param missing asynchronous mode: steps before the last applied one whose units are not, rising
   */
  async restart(step: number, lineage: number, missing: readonly number[] = []): Promise<void> {
    this.outstanding.clear();
    this.options.traces.abandon();
    this.gaps = missing;
    this.horizon = step + missing.length;
    this.suspectBefore = step;
    this.current = step;
    this.lineage = lineage;
    await this.options.queue.purge().catch(this.options.onBrokerAway);
  }

  /**
   * Makes `step` the current one and publishes what is open.
   *
   * @param phase what the step trains
   */
  async advance(step: number, { until, oldestVersion }: OpenSteps, phase: PhaseName): Promise<void> {
    this.current = step;
    this.currentSince = clock();
    this.phase = phase;
    const due = [...this.gaps];
    this.gaps = [];
    for (; this.horizon < until; this.horizon++) due.push(this.horizon);
    const offers: Promise<void>[] = [];
    for (const each of due) {
      const lane: Lane = each === step || this.options.isAsynchronous ? 'now' : 'ahead';
      for (const { index, records, seed } of this.options.plan.units(each)) {
        const id = this.identify(each, index, false);
        const value = { records: [...records], seed, oldestVersion: oldestVersion(each) };
        // Sent in this order; the broker's answers are awaited together.
        offers.push(this.offer(lane, { id, work: { $case: 'training', value } }));
      }
    }
    await Promise.all(offers);
    await this.offerPostponed();
    if (step < this.suspectBefore) this.options.onSuspectStep(step);
  }

  /** Publishes an evaluation's units for the version of `step`. */
  async evaluate(step: number, work: readonly Extract<Unit['work'], { $case: 'evaluation' }>[]): Promise<void> {
    for (const [index, evaluation] of work.entries())
      await this.offer('now', { id: this.identify(step, index, true), work: evaluation });
  }

  /** A unit's result was accepted. */
  settle(id: Pick<UnitId, 'lineage' | 'step' | 'index' | 'evaluation'>, worker: string): void {
    const key = offerKey(id);
    const held = this.outstanding.get(key);
    const lease = this.options.workers().leaseOf(worker, key);
    this.lastResults.set(worker, clock());
    if (held !== undefined && lease !== null && this.isNeeded(held))
      this.times.add(this.kindOf(held), clock() - Math.max(this.neededSince(held), lease.since));
    this.latestSettled = Math.max(this.latestSettled, held?.order ?? 0);
    this.outstanding.delete(key);
    this.options.workers().settled(key);
  }

  /**
   * A unit's result came too late to count: its worker has the unit no more. Where each unit is applied as it comes, one
   * that nobody else brought in is to be computed still, with a newer version.
   */
  async overtaken(id: UnitId, worker: string): Promise<void> {
    const hadIt = this.options.workers().release(worker, offerKey(id));
    const held = this.outstanding.get(offerKey(id));
    if (!this.options.isAsynchronous || id.evaluation || held === undefined || !hadIt) return;
    await this.offerAfter(held, worker, 'too-stale', `worker ${worker} computed it with a version too old`);
  }

  /**
   * Puts a unit that is still needed into the lane that is drained first, for anyone. One of a later step waits until
   * that step is the current one: in that lane it would stand before what the current step waits for, and workers that
   * have no room for it would get it again and again; in the other it would lie behind units of steps after its own.
   */
  async offerAgain(id: UnitId, reason: OfferReason, detail: string): Promise<void> {
    const held = this.outstanding.get(offerKey(id));
    if (held === undefined) return;
    if (this.isNeeded(held)) await this.publishAgain(held, 'now', reason, detail);
    else held.postponed = { reason, detail };
  }

  /**
   * A worker gave a unit back, which the broker offers in the lane that it came from: in the one for later steps nobody
   * may look for it any more, when all hold units of steps after it; one that came by the worker's session the broker does
   * not have. As a rule somebody takes it, so that is waited for.
   */
  givenBack(id: UnitId, worker: string, detail: string): void {
    const held = this.outstanding.get(offerKey(id));
    if (held === undefined || (held.lane !== 'ahead' && !held.triedBy.has(worker))) return;
    const postponed = { reason: 'given-back', detail } as const;
    const { lane } = held;
    if (this.isNeeded(held)) this.offerUnheldSoon(held, postponed, lane);
    else held.postponed ??= postponed;
  }

  private async offerPostponed(): Promise<void> {
    for (const held of [...this.outstanding.values()]) {
      const { postponed } = held;
      if (postponed === null || !this.isNeeded(held)) continue;
      held.postponed = null;
      if (postponed.reason === 'given-back') this.offerUnheldSoon(held, postponed, 'ahead');
      else await this.offerUnheld(held, postponed, 'ahead');
    }
  }

  private offerUnheldSoon(held: Outstanding, postponed: NonNullable<Outstanding['postponed']>, lane: Lane): void {
    const what = `offer ${offerKey(held.offer.id)} again, unless it left the lane "${lane}"`;
    this.options.soon(what, () => this.offerUnheld(held, postponed, lane));
  }

  /**
   * Offers a unit again that is needed still and that no live worker holds.
   * @param lane in which it was offered last, else it has been offered again meanwhile; null: that does not count
   */
  private async offerUnheld(
    held: Outstanding,
    { reason, detail }: NonNullable<Outstanding['postponed']>,
    lane: Lane | null = null,
  ): Promise<void> {
    const key = offerKey(held.offer.id);
    const isOfLane = lane === null || held.lane === lane;
    const isWanted = this.outstanding.get(key) === held && this.isNeeded(held) && isOfLane;
    if (isWanted && this.options.workers().holders(key).length === 0)
      await this.publishAgain(held, 'now', reason, detail);
  }

  /** Whether the current step, or an evaluation, waits for it. */
  private isNeeded({ offer }: Outstanding): boolean {
    return this.options.isAsynchronous || offer.id.evaluation || offer.id.step === this.current;
  }

  private async publishAgain(held: Outstanding, lane: Lane, reason: OfferReason, detail: string): Promise<void> {
    held.offer = nextAttempt(held.offer);
    held.lane = lane;
    this.options.onOfferedAgain(held.offer.id, reason, detail);
    await this.publish(held);
  }

  /**
   * A worker's session broke: what it held is offered again, and counts against the unit while others live. Where that
   * would end the run it is waited first whether it was the network.
   */
  async workerLeft(worker: Worker, died: boolean): Promise<void> {
    this.suspectBefore = this.horizon;
    this.lastResults.delete(worker.id);
    const suspects = this.suspects(worker);
    // The one that died, too: with it gone another would be alone, and what one has done would do.
    const present = this.options.workers().list.length + 1;
    const fault = { worker: worker.id, detail: 'the worker died while it held the unit', instance: worker.instance };
    for (const { unit: id } of worker.leases.values()) {
      const held = this.outstanding.get(offerKey(id));
      if (died && held !== undefined && suspects.has(offerKey(id)) && present > 1) {
        held.faults.failed(fault);
        this.endsRun(held, present);
      }
      await this.offerAgain(id, 'worker-lost', `worker ${worker.id} ${died ? 'died' : 'left'}`);
    }
  }

  /** A worker is in session; if it is one that was lost, nothing killed it. */
  workerJoined({ instance }: Worker): void {
    for (const { faults } of this.outstanding.values()) faults.returned(instance);
  }

  /**
   * @param present workers among which the fault would be the unit's
   * @returns whether the run ends for it, so that it need not be offered again
   */
  private endsRun(held: Outstanding, present: number): boolean {
    const error = this.poisonIn(held, present);
    if (error === null) return false;
    const isSure = !held.faults.mayReturn;
    if (isSure) this.options.onPoison(error);
    else this.judgeLater(held, present);
    return isSure;
  }

  /** Who is cut off from all workers at once learns nothing of a unit. */
  private judgeLater(held: Outstanding, present: number): void {
    if (held.isJudged) return;
    held.isJudged = true;
    this.options.later(`see whether ${offerKey(held.offer.id)} killed its workers`, async () => {
      held.isJudged = false;
      if (this.outstanding.get(offerKey(held.offer.id)) !== held) return;
      const error = this.poisonIn(held, present);
      if (error === null) return;
      if (this.options.workers().list.length === 0) this.judgeLater(held, present);
      else this.options.onPoison(error);
    });
  }

  /**
   * What a worker that died may have died of: all it held that the current work waits for. Where each unit is applied as it
   * comes that would be everything; there it is what it held longest, since it computes them in turn.
   */
  private suspects({ leases }: Worker): ReadonlySet<string> {
    const needed = [...leases.keys()].filter((key) => {
      const held = this.outstanding.get(key);
      return held !== undefined && this.isNeeded(held);
    });
    return new Set(this.options.isAsynchronous ? needed.slice(0, 1) : needed);
  }

  /** @param code of the error table; empty for none */
  async unitFailed(worker: Worker, id: UnitId, detail: string, code: string): Promise<void> {
    const held = this.outstanding.get(offerKey(id));
    if (held === undefined) return;
    held.faults.failed({ worker: worker.id, detail, code });
    await this.offerUnlessPoison(held, worker.id, 'unit-failed', `worker ${worker.id} could not compute it: ${detail}`);
  }

  /**
   * A gradient that is not finite, or no gradient: it is computed anew, elsewhere as it comes, before it counts. Of a
   * worker that did not have the unit it changes nothing.
   */
  async refused(id: UnitId, worker: string, detail: string): Promise<void> {
    const hadIt = this.options.workers().release(worker, offerKey(id));
    const held = this.outstanding.get(offerKey(id));
    if (held === undefined || !hadIt) return;
    held.faults.refused({ worker, detail });
    await this.offerUnlessPoison(held, worker, 'refused', `its result was refused: ${detail}`);
  }

  private async offerUnlessPoison(
    held: Outstanding,
    worker: string,
    reason: OfferReason,
    detail: string,
  ): Promise<void> {
    if (!this.endsRun(held, this.options.workers().list.length)) await this.offerAfter(held, worker, reason, detail);
  }

  /**
   * Offers a unit again that a worker had and did not bring in: at once when it is the first time, else in a moment. Who is
   * quick to fail would be the first to have it again, and fill the queue with it.
   */
  private async offerAfter(held: Outstanding, worker: string, reason: OfferReason, detail: string): Promise<void> {
    const { id } = held.offer;
    const isFirst = !held.undoneBy.has(worker) && held.undoneBy.size < mostUndone;
    if (isFirst) {
      held.undoneBy.add(worker);
      await this.offerAgain(id, reason, detail);
      return;
    }
    if (held.isPutOff) return;
    held.isPutOff = true;
    this.options.soon(`offer ${offerKey(id)} again, which was put off`, async () => {
      held.isPutOff = false;
      if (this.isNeeded(held)) await this.offerUnheld(held, { reason, detail });
      else held.postponed ??= { reason, detail };
    });
  }

  /**
   * Offers every unit of the current work that no live worker holds, after one was lost: leases that nobody reported.
   *
   * @param step nothing is done when the run has gone on from it, unless each unit is applied as it comes.
   */
  async offerOrphans(step = this.current): Promise<void> {
    const { isAsynchronous } = this.options;
    if (step !== this.current && !isAsynchronous) return;
    const latestTaken = this.latestTaken();
    for (const [key, held] of [...this.outstanding])
      if (this.isNeeded(held) && this.options.workers().holders(key).length === 0)
        if (!isAsynchronous || held.order < latestTaken)
          await this.publishAgain(held, 'now', 'worker-lost', 'its worker is gone');
  }

  /**
   * Units are taken in the order in which they were published, so one that nobody holds was taken and lost if a later one
   * was taken, or if somebody has nothing to do: else it may lie in the queue still.
   */
  private latestTaken(): number {
    const workers = this.options.workers();
    if (workers.list.every(({ leases }) => leases.size > 0) && workers.list.length > 0)
      return [...this.outstanding].reduce(
        (latest, [key, { order }]) => (workers.holders(key).length > 0 ? Math.max(latest, order) : latest),
        this.latestSettled,
      );
    return Infinity;
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
    const needed = [...this.outstanding].filter(([, held]) => this.isNeeded(held) && !held.isPutOff);
    const isIdle = ({ leases, report, id }: Worker): boolean =>
      report?.state !== 'draining' && !needed.some(([key, { triedBy }]) => leases.has(key) || triedBy.has(id));
    const lastResult = ({ id }: Worker): number => this.lastResults.get(id) ?? 0;
    const idle = workers.list.filter(isIdle).sort((a, b) => lastResult(b) - lastResult(a));
    if (idle.length === 0) return;
    const awaited = needed.map(([key, held]): AwaitedUnit => {
      const leases = workers.holders(key).map(({ id }) => workers.leaseOf(id, key)?.since ?? 0);
      const since = Math.max(notBefore, this.neededSince(held), ...leases, ...held.triedBy.values());
      const holders = workers.holders(key).map(({ id }) => id);
      return { key, kind: this.kindOf(held), holders, triedBy: [...held.triedBy.keys()], since };
    });
    const offers = secondOffers(
      awaited,
      idle.map(({ id }) => id),
      overdueMs,
      clock(),
    );
    for (const { key, worker, waitedMs } of offers) {
      const held = this.outstanding.get(key);
      if (held === undefined) continue;
      held.triedBy.set(worker, clock());
      held.offer = nextAttempt(held.offer);
      const holders = workers.holders(key).map(({ id }) => id);
      const seconds = (waitedMs / 1000).toFixed(1);
      const slow =
        holders.length === 0 ? 'nobody has said to hold it' : `worker ${holders.join(' and ')} has been at it`;
      const detail = `${slow} for ${seconds} s: worker ${worker} computes it${holders.length === 0 ? '' : ' too'}`;
      this.options.onOfferedAgain(held.offer.id, 'straggler', detail);
      const span = this.options.traces.offer(held.offer.id, 'now');
      workers.offer(worker, { unit: held.offer, trace: span.carrier });
      span.end();
    }
  }

  private kindOf({ offer }: Outstanding): UnitKind {
    if (offer.work?.$case !== 'evaluation') return this.phase;
    return offer.work.value.kind === EvaluationKind.EVALUATION_KIND_CAPTIONS ? 'captions' : 'perplexity';
  }

  /** Since when the current work waits for it. */
  private neededSince({ offer, madeAt }: Outstanding): number {
    return offer.id.evaluation || this.options.isAsynchronous ? madeAt : Math.max(madeAt, this.currentSince);
  }

  /** Offers all that the current work waits for a second time, whoever holds it: a straggler's result may be overtaken. */
  async offerMissing(): Promise<void> {
    for (const held of [...this.outstanding.values()])
      if (this.isNeeded(held)) await this.publishAgain(held, 'now', 'straggler', 'nothing was heard of it');
  }

  /** After the broker lost the stream: everything not settled is published anew. */
  async republish(): Promise<void> {
    for (const held of [...this.outstanding.values()].sort((a, b) => a.offer.id.step - b.offer.id.step))
      await this.publishAgain(held, this.isNeeded(held) ? 'now' : 'ahead', 'broker-lost', 'the broker lost its queue');
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
      .filter(([, held]) => this.isNeeded(held))
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
    const held: Outstanding = {
      ...{ offer, lane, postponed: null, published: false, madeAt: clock(), order: 0 },
      ...{
        triedBy: new Map(),
        faults: new UnitFaults(),
        undoneBy: new Set<string>(),
        isPutOff: false,
        isJudged: false,
      },
    };
    this.outstanding.set(offerKey(offer.id), held);
    await this.publish(held);
  }

  /** A broker that is away keeps no step from being taken: the offer stays outstanding and is published later. */
  private async publish(held: Outstanding): Promise<boolean> {
    const { offer, lane } = held;
    held.published = false;
    held.order = ++this.published;
    const span = this.options.traces.offer(offer.id, lane);
    try {
      await traced(span, () => this.options.queue.publish(lane, offer, span.carrier));
      if (held.offer === offer) held.published = true;
      return true;
    } catch (error) {
      this.options.onBrokerAway(error);
      return false;
    }
  }

  private poisonIn(held: Outstanding, workers: number): ShowtellError | null {
    return held.faults.verdict(workers, () => this.accuse(held));
  }

  private accuse({ offer }: Outstanding): AccusedUnit {
    const { id } = offer;
    const unit = `${id.evaluation ? 'evaluation ' : ''}unit ${id.index} of step ${id.step}`;
    return { unit, records: this.options.describe(offer) };
  }
}

function nextAttempt(offer: Offer): Offer {
  return { ...offer, id: { ...offer.id, attempt: offer.id.attempt + 1 } };
}

import { setTimeout as delay } from 'node:timers/promises';
import { status, type ServiceError } from '@grpc/grpc-js';
import type { Lease } from '@showtell/shared/bus/unit-queue.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  Command_Kind,
  Phase,
  type Command,
  type UnitOffer,
  type Version,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { openWindow } from '@showtell/shared/job/asynchronous.js';
import type { Logger } from '@showtell/shared/service/log.js';
import { traced } from '@showtell/shared/service/tracing.js';
import { unitFields } from '@showtell/shared/plan/unit-fields.js';
import { isTransient } from '@showtell/shared/rpc/channel.js';
import { Bell } from './bell.js';
import { UnitComputer } from './compute-unit.js';
import { HeldUnits, type HeldUnit } from './held-units.js';
import type { Membership } from './membership.js';
import { secondLease } from './second-lease.js';
import { WaitingTimes } from './waiting-times.js';
import { excess, isDue, isOf, isStale, type Window } from './what-to-hold.js';
import type { WorkerParts } from './worker-parts.js';

const workerStates = ['starting', 'waiting', 'computing', 'draining', 'stopped'] as const;

/**
 * What a worker is doing. `starting`: the engine and the data are being opened, a coordinator looked for. `waiting`: for
 * a unit, or for the version that the units it holds are to be computed with. `computing`: a unit. `draining`: takes no
 * more units and ends what it began. `stopped`: holds nothing.
 */
export type WorkerState = (typeof workerStates)[number];

/** How a membership ended; `lost`: the coordinator is gone and another may come. */
export type Departure = 'complete' | 'stopped' | 'drained' | 'lost';

/** Units of which lane there is room for. */
type Appetite = 'any' | 'now' | 'none';

/** A worker that waits for a version holds at most this many units, however many the last step gave it. */
const mostWaiting = 4;
/** How long one request for a unit stays open at the broker. */
const pollMs = 250;
const reportMs = 2_000;

/** A worker in one run: lease, read, compute, push, settle by the verdict; the next unit is already being decoded. */
export class Worker {
  private stateNow: WorkerState = 'starting';
  private announced: Version | null = null;
  private paused = false;
  private draining = false;
  private departure: Departure | null = null;
  /** Units computed for the announced step, and for the one before: as many are worth holding at the next barrier. */
  private unitsOfStep = 0;
  private unitsOfLastStep = 1;
  private unitsDone = 0;
  private shift: Shift | null = null;
  /** Whether the version held was the newest when it was asked for, for the unit that is next. */
  private isRefreshed = false;
  private readonly window: Window;
  private readonly times: WaitingTimes;
  private readonly bell = new Bell();
  /** Names the run, once it is known. */
  private log: Logger;

  constructor(private readonly parts: WorkerParts) {
    this.times = new WaitingTimes(parts.metrics);
    this.log = parts.log;
    const { asynchronous } = parts.job;
    this.window = asynchronous === null ? null : openWindow(asynchronous);
    this.become('starting');
  }

  /** Units computed for this coordinator. */
  get done(): number {
    return this.unitsDone;
  }

  get state(): WorkerState {
    return this.stateNow;
  }

  private become(state: WorkerState): void {
    this.stateNow = state;
    for (const each of workerStates) this.parts.metrics.series.state.set({ state: each }, each === state ? 1 : 0);
  }

  /** To be called for what the session says, from its first message on. */
  readonly events = {
    version: (version: Version): void => {
      if (this.announced?.id?.step !== version.id?.step) {
        this.unitsOfLastStep = Math.max(1, this.unitsOfStep);
        this.unitsOfStep = 0;
      }
      this.announced = version;
      this.bell.ring();
    },
    command: ({ kind, reason }: Command): void => {
      this.log.info('told by the coordinator', { command: Command_Kind[kind], reason });
      if (kind === Command_Kind.KIND_PAUSE) this.paused = true;
      else if (kind === Command_Kind.KIND_RESUME) this.paused = false;
      else if (kind === Command_Kind.KIND_DRAIN) this.draining = true;
      else if (kind === Command_Kind.KIND_COMPLETE) this.departure ??= 'complete';
      else if (kind === Command_Kind.KIND_STOP) this.departure ??= 'stopped';
      this.bell.ring();
    },
    offer: (offer: UnitOffer): void => {
      const lease = secondLease(offer);
      if (lease === null || this.shift === null || this.shift.held.has(lease.unit.id)) return;
      if (!this.isOurs(lease, this.shift)) return;
      if (this.departure === null && !this.draining) this.hold(lease, this.shift);
    },
  };

  /** The way to units is gone for good: whoever has this worker joins anew. */
  lose(): void {
    this.departure ??= 'lost';
    this.bell.ring();
  }

  /** Takes no more units, gives back those not begun, ends what is being computed. */
  drain(): void {
    this.draining = true;
    this.bell.ring();
  }

  /**
   * Works until the run ends, the coordinator is gone, or {@link drain} was called and all is settled.
   * @throws what this worker cannot go on after: `worker/canary-refused`, an engine that died
   */
  async work(member: Membership): Promise<Departure> {
    const { job } = this.parts;
    const { run } = member.session.welcome;
    this.log = this.parts.log.child({ run });
    void member.session.ended.then(() => this.lose());
    using held = new HeldUnits(job.cluster.leaseSeconds, {
      taken: (unit) => member.session.send({ $case: 'leaseTaken', value: { unit } }),
      returned: (unit, reason, dropped) =>
        member.session.send({ $case: 'leaseReturned', value: { unit, reason, dropped } }),
    });
    const computer = new UnitComputer({ ...this.parts, log: this.log }, member, held, this.times, () =>
      this.bell.ring(),
    );
    const shift: Shift = { member, held, computer };
    this.shift = shift;
    this.report(member);
    const report = setInterval(() => this.report(member), reportMs);
    this.log.info('joined', { exchange: member.parameters.transport });
    const leasing = this.leaseUnits(shift);
    try {
      return await this.computeUnits(shift);
    } finally {
      this.shift = null;
      this.departure ??= 'stopped';
      this.bell.ring();
      clearInterval(report);
      await leasing;
      for (const unit of held.waiting) held.giveBack(unit, 'the worker leaves');
      this.report(member);
      this.become('stopped');
    }
  }

  /** Computes what is due, in order, until there is a reason to leave. */
  private async computeUnits({ member, held, computer }: Shift): Promise<Departure> {
    for (;;) {
      const seen = this.bell.rung;
      if (this.departure !== null) return this.departure;
      const current = this.announced;
      if (current !== null)
        for (const unit of held.waiting)
          if (isStale(unit.lease.unit.id, current, this.window)) held.drop(unit, 'stale');
      if (this.draining) {
        for (const unit of held.waiting) held.giveBack(unit, 'the worker leaves');
        if (held.settling === 0) return 'drained';
      }
      const next =
        current === null ? undefined : held.waiting.find(({ lease }) => isDue(lease.unit, current, this.window));
      const version = current === null ? null : this.usable(current, next, computer);
      if (current !== null && version === null && !this.draining && (this.window === null || next !== undefined)) {
        const first = next ?? held.waiting.find((unit) => isOf(unit.lease.unit.id, current));
        this.isRefreshed = await computer.takeVersion(current, first?.span).then(
          () => true,
          (error: unknown) => this.meetAbsence(error, current),
        );
        continue;
      }
      if (version === null || next === undefined) {
        this.become(this.draining ? 'draining' : 'waiting');
        await this.times.waiting(held.waiting.length > 0 ? 'parameters' : 'unit', this.bell.after(seen));
        continue;
      }
      this.become('computing');
      held.begin(next);
      this.bell.ring();
      this.isRefreshed = false;
      try {
        await computer.compute(next, version);
        this.unitsDone++;
        this.unitsOfStep++;
      } catch (error) {
        this.fail(next, error, member, held);
      }
    }
  }

  /**
   * The version to compute with, if it is held: the newest; or where each unit is applied as it comes, one that was the
   * newest when it was asked for: others may come faster than they are read.
   */
  private usable(current: Version, next: HeldUnit | undefined, computer: UnitComputer): Version | null {
    if (computer.holds(current)) return current;
    const { taken } = computer;
    if (this.window === null || !this.isRefreshed || taken === null || next === undefined) return null;
    return isDue(next.lease.unit, taken, this.window) ? taken : null;
  }

  /** Leases units as there is room for them: `now` before `ahead`. */
  private async leaseUnits(shift: Shift): Promise<void> {
    const { queue } = shift.member;
    const fill = async (): Promise<Lease | null> =>
      (await queue.pull('now')) ?? (await queue.pull('ahead')) ?? (await queue.pull('ahead', pollMs));
    await Promise.all([
      this.pullWhile(shift, (appetite) => appetite === 'any', fill),
      // A request of its own stays open at `now`: it must not hold up the look-ahead once there is room for it.
      this.pullWhile(
        shift,
        (appetite) => appetite !== 'none',
        () => queue.pull('now', pollMs),
      ),
    ]);
  }

  private async pullWhile(
    shift: Shift,
    hungry: (appetite: Appetite) => boolean,
    pull: () => Promise<Lease | null>,
  ): Promise<void> {
    while (this.departure === null && !this.draining) {
      const seen = this.bell.rung;
      if (!hungry(this.appetite(shift.held))) {
        await this.bell.after(seen, 1_000);
        continue;
      }
      try {
        const lease = await pull();
        if (lease !== null) this.receive(lease, shift);
      } catch (error) {
        this.log.warn('the broker gives no units', { error });
        await delay(pollMs);
      }
    }
  }

  /**
   * One unit is made ready while another is computed. Who waits for a version holds as many as the step before gave it,
   * and goes on asking for `now`: a unit offered again would wait behind the look-ahead of all otherwise.
   */
  private appetite(held: HeldUnits): Appetite {
    if (this.paused) return 'none';
    if (held.waiting.length < this.room()) return 'any';
    if (this.window !== null) return 'none';
    return this.stateNow === 'computing' ? 'none' : 'now';
  }

  private room(): number {
    return this.stateNow === 'computing' || this.window !== null ? 1 : Math.min(this.unitsOfLastStep, mostWaiting);
  }

  private receive(lease: Lease, shift: Shift): void {
    const { held } = shift;
    if (!this.isOurs(lease, shift)) {
      lease.acknowledge();
      return;
    }
    if (this.departure !== null || this.draining) {
      lease.giveBack();
      return;
    }
    if (held.takeAgain(lease)) return;
    this.hold(lease, shift);
    const farthest = excess(held.waiting, this.room(), this.announced?.id?.step ?? 0, this.window);
    if (farthest !== null) held.giveBack(farthest, 'a more urgent unit came');
  }

  /** Whether a unit is of the run that this worker is in, its job and its generation; that of another is told of. */
  private isOurs({ unit: { id, jobSha256 } }: Lease, { member }: Shift): boolean {
    const { run, generation, jobSha256: job } = member.session.welcome;
    if (id.run === run && id.generation === generation && jobSha256 === job) return true;
    const of = { run: id.run, generation: id.generation, job: jobSha256 };
    this.log.warn('a unit of another run, generation or job is not computed', { ...unitFields(id), of });
    return false;
  }

  /** Has a unit made ready for its turn. */
  private hold(lease: Lease, { held, computer }: Shift): void {
    const { run, step: ofStep, index, attempt } = lease.unit.id;
    const span = this.parts.tracing.continue(lease.trace, 'unit', {
      kind: 'consumer',
      attributes: {
        ...{ 'showtell.run': run, 'showtell.step': ofStep, 'showtell.unit': index, 'showtell.attempt': attempt },
        ...{ 'showtell.worker': this.parts.id, 'showtell.lane': lease.lane },
      },
    });
    const phase = this.announced?.phase ?? Phase.PHASE_UNSPECIFIED;
    held.add(
      lease,
      traced(span.child('prepare'), () => computer.prepare(lease, phase)),
      span,
    );
    this.bell.ring();
  }

  /** The version is current no more, or the coordinator is gone: the session will say what is to be done. */
  private async meetAbsence(error: unknown, wanted: Version): Promise<false> {
    const gone = error instanceof ShowtellError && error.code === 'parameters/version-gone';
    if (!gone && !isOutOfReach(error)) throw error;
    this.log.info('a version could not be read', { step: wanted.id?.step ?? 0, error });
    const seen = this.bell.rung;
    if (this.announced === wanted && this.departure === null) await this.bell.after(seen, pollMs);
    return false;
  }

  /** A unit that this worker could not compute; what isn't the unit's fault ends the worker. */
  private fail(unit: HeldUnit, error: unknown, member: Membership, held: HeldUnits): void {
    const { metrics } = this.parts;
    const { id } = unit.lease.unit;
    const code = error instanceof ShowtellError ? (error.code as string) : '';
    if (!unitFaults.includes(code)) {
      held.giveBack(unit, 'the worker fails');
      if (this.departure === null && !isOutOfReach(error)) throw error;
      this.log.warn('the coordinator could not be reached', { ...unitFields(id), error });
      return;
    }
    metrics.series.units.inc({ outcome: 'failed' });
    unit.span.end({ 'showtell.outcome': 'failed' }, error);
    this.log.warn('a unit could not be computed', { ...unitFields(id), error });
    const text = error instanceof Error ? error.message : '';
    member.session.send({ $case: 'unitFailure', value: { unit: id, code, text } });
    // The coordinator offers it anew, as another attempt.
    held.settle(unit);
  }

  private report(member: Membership): void {
    const { metrics, engine } = this.parts;
    metrics.series.peakMemory.set(process.resourceUsage().maxRSS * 1024);
    void engine.memory().then(
      ({ tensors, graphs }) => {
        metrics.series.tensors.set(tensors);
        metrics.series.graphs.set(graphs);
      },
      // The engine has ended, which whoever computes with it is told too.
      () => undefined,
    );
    const { data, parameters, unit } = this.times.seconds;
    member.session.send({
      $case: 'report',
      value: {
        residentBytes: process.memoryUsage.rss(),
        engineBytes: 0,
        unitsDone: this.unitsDone,
        computeSeconds: this.times.computing,
        waitDataSeconds: data,
        waitParametersSeconds: parameters,
        waitUnitSeconds: unit,
        state: this.stateNow,
        exchange: member.parameters.transport,
      },
    });
  }
}

/** What belongs to one membership. */
interface Shift {
  readonly member: Membership;
  readonly held: HeldUnits;
  readonly computer: UnitComputer;
}

/** Reported against the unit; three of them stop the run with its records named. */
const unitFaults: readonly string[] = [
  'data/record-corrupt',
  'data/object-corrupt',
  'file/missing',
  'engine/out-of-memory',
  'engine/failed',
];

/** The last two are answered by who came in the coordinator's place: a successor, or another run's. */
const outOfReach = [status.CANCELLED, status.UNAUTHENTICATED, status.PERMISSION_DENIED];

/** Whether a call failed for want of a coordinator; the session's end says so too, a moment later. */
function isOutOfReach(error: unknown): boolean {
  const code = (error as Partial<ServiceError> | null)?.code;
  return isTransient(error) || outOfReach.some((each) => each === code);
}

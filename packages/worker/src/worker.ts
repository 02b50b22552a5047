import { setTimeout as delay } from 'node:timers/promises';
import { status, type ServiceError } from '@grpc/grpc-js';
import type { Lease } from '@showtell/shared/bus/unit-queue.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  Command_Kind,
  Phase,
  type Command,
  type Version,
  type VersionId,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { isTransient } from '@showtell/shared/rpc/channel.js';
import { Bell } from './bell.js';
import { UnitComputer, unitName } from './compute-unit.js';
import { HeldUnits, type HeldUnit } from './held-units.js';
import type { Membership } from './membership.js';
import { WaitingTimes } from './waiting-times.js';
import type { WorkerParts } from './worker-parts.js';

/**
 * What a worker is doing. `starting`: the engine and the data are being opened, a coordinator looked for. `waiting`: for
 * a unit, or for the version that the units it holds are to be computed with. `computing`: a unit. `draining`: takes no
 * more units and ends what it began. `stopped`: holds nothing.
 */
export type WorkerState = 'starting' | 'waiting' | 'computing' | 'draining' | 'stopped';

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
  private readonly times: WaitingTimes;
  private readonly bell = new Bell();

  constructor(private readonly parts: WorkerParts) {
    this.times = new WaitingTimes(parts.metrics);
  }

  get state(): WorkerState {
    return this.stateNow;
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
      this.parts.log.info('told by the coordinator', { command: Command_Kind[kind], reason });
      if (kind === Command_Kind.KIND_PAUSE) this.paused = true;
      else if (kind === Command_Kind.KIND_RESUME) this.paused = false;
      else if (kind === Command_Kind.KIND_DRAIN) this.draining = true;
      else if (kind === Command_Kind.KIND_COMPLETE) this.departure ??= 'complete';
      else if (kind === Command_Kind.KIND_STOP) this.departure ??= 'stopped';
      this.bell.ring();
    },
  };

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
    const { job, log } = this.parts;
    void member.session.ended.then(() => {
      this.departure ??= 'lost';
      this.bell.ring();
    });
    using held = new HeldUnits(job.cluster.leaseSeconds, {
      taken: (unit) => member.session.send({ $case: 'leaseTaken', value: { unit } }),
      returned: (unit, reason, dropped) =>
        member.session.send({ $case: 'leaseReturned', value: { unit, reason, dropped } }),
    });
    const computer = new UnitComputer(this.parts, member, held, this.times, () => this.bell.ring());
    const shift: Shift = { member, held, computer };
    const report = setInterval(() => this.report(member), reportMs);
    log.info('joined', { run: member.session.welcome.run, exchange: member.parameters.transport });
    const leasing = this.leaseUnits(shift);
    try {
      return await this.computeUnits(shift);
    } finally {
      this.departure ??= 'stopped';
      this.bell.ring();
      clearInterval(report);
      await leasing;
      for (const unit of held.waiting) held.giveBack(unit, 'the worker leaves');
      this.report(member);
      this.stateNow = 'stopped';
    }
  }

  /** Computes what is due, in order, until there is a reason to leave. */
  private async computeUnits({ member, held, computer }: Shift): Promise<Departure> {
    for (;;) {
      const seen = this.bell.rung;
      if (this.departure !== null) return this.departure;
      const current = this.announced;
      if (current?.id !== undefined) dropStale(held, current.id);
      if (this.draining) {
        for (const unit of held.waiting) held.giveBack(unit, 'the worker leaves');
        if (held.settling === 0) return 'drained';
      } else if (current !== null && !computer.holds(current)) {
        await computer.takeVersion(current).catch((error: unknown) => this.meetAbsence(error, current));
        continue;
      }
      const next = current === null ? undefined : held.waiting.find((unit) => isDue(unit.lease.unit.id, current));
      if (current === null || next === undefined) {
        this.stateNow = this.draining ? 'draining' : 'waiting';
        await this.times.waiting(held.waiting.length > 0 ? 'parameters' : 'unit', this.bell.after(seen));
        continue;
      }
      this.stateNow = 'computing';
      held.begin(next);
      this.bell.ring();
      try {
        await computer.compute(next, current);
        this.unitsDone++;
        this.unitsOfStep++;
      } catch (error) {
        this.fail(next, error, member, held);
      }
    }
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
        this.parts.log.warn('the broker gives no units', { error });
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
    return this.stateNow === 'computing' ? 'none' : 'now';
  }

  private room(): number {
    return this.stateNow === 'computing' ? 1 : Math.min(this.unitsOfLastStep, mostWaiting);
  }

  private receive(lease: Lease, { member, held, computer }: Shift): void {
    if (lease.unit.id.generation !== member.session.welcome.generation) {
      lease.acknowledge();
      return;
    }
    if (this.departure !== null || this.draining) {
      lease.giveBack();
      return;
    }
    held.add(lease, computer.prepare(lease, this.announced?.phase ?? Phase.PHASE_UNSPECIFIED));
    const farthest = held.waiting.at(-1);
    const step = this.announced?.id?.step ?? 0;
    if (farthest !== undefined && held.waiting.length > this.room() && farthest.lease.unit.id.step > step)
      held.giveBack(farthest, 'a more urgent unit came');
    this.bell.ring();
  }

  /** The version is current no more, or the coordinator is gone: the session will say what is to be done. */
  private async meetAbsence(error: unknown, wanted: Version): Promise<void> {
    const gone = error instanceof ShowtellError && error.code === 'parameters/version-gone';
    if (!gone && !isOutOfReach(error)) throw error;
    this.parts.log.info('a version could not be read', { step: wanted.id?.step ?? 0, error });
    const seen = this.bell.rung;
    if (this.announced === wanted && this.departure === null) await this.bell.after(seen, pollMs);
  }

  /** A unit that this worker could not compute; what isn't the unit's fault ends the worker. */
  private fail(unit: HeldUnit, error: unknown, member: Membership, held: HeldUnits): void {
    const { log, metrics } = this.parts;
    const { id } = unit.lease.unit;
    const code = error instanceof ShowtellError ? (error.code as string) : '';
    if (!unitFaults.includes(code)) {
      held.giveBack(unit, 'the worker fails');
      if (this.departure === null && !isOutOfReach(error)) throw error;
      log.warn('the coordinator could not be reached', { unit: unitName(id), error });
      return;
    }
    metrics.series.units.inc({ outcome: 'failed' });
    log.warn('a unit could not be computed', { unit: unitName(id), error });
    const text = error instanceof Error ? error.message : '';
    member.session.send({ $case: 'unitFailure', value: { unit: id, code, text } });
    // The coordinator offers it anew, as another attempt.
    held.settle(unit);
  }

  private report(member: Membership): void {
    this.parts.metrics.series.peakMemory.set(process.resourceUsage().maxRSS * 1024);
    member.session.send({
      $case: 'report',
      value: {
        residentBytes: process.memoryUsage.rss(),
        engineBytes: 0,
        unitsDone: this.unitsDone,
        computeSeconds: this.times.computing,
        waitDataSeconds: this.times.seconds.data,
        waitParametersSeconds: this.times.seconds.parameters,
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
const unitFaults: readonly string[] = ['data/record-corrupt', 'file/missing', 'engine/out-of-memory', 'engine/failed'];

/** Whether a unit is to be computed with this version; until its phase is decided, only evaluations are. */
function isDue(unit: UnitId, { id, phase }: Version): boolean {
  if (id === undefined || unit.lineage !== id.lineage || unit.step !== id.step) return false;
  return unit.evaluation || phase !== Phase.PHASE_UNSPECIFIED;
}

function dropStale(held: HeldUnits, current: VersionId): void {
  for (const unit of held.waiting) {
    const { lineage, step } = unit.lease.unit.id;
    const stale = lineage < current.lineage || (lineage === current.lineage && step < current.step);
    if (stale) held.drop(unit, 'stale');
  }
}

/** Whether a call failed for want of a coordinator; the session's end says so too, a moment later. */
function isOutOfReach(error: unknown): boolean {
  return isTransient(error) || (error as Partial<ServiceError> | null)?.code === status.CANCELLED;
}

import type { Lease } from '@showtell/shared/bus/unit-queue.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { TraceSpan } from '@showtell/shared/service/tracing.js';
import type { PreparedUnit } from './input/prepare-unit.js';

/** A unit this worker has leased and not yet settled. */
export interface HeldUnit {
  /** The latest, where it was offered again while it waited. */
  lease: Lease;
  /** Being read and decoded, or ready. */
  prepared: Promise<PreparedUnit>;
  /** From its lease to its verdict. */
  readonly span: TraceSpan;
}

/** What is told to the coordinator about leases. */
export interface LeaseEvents {
  taken(unit: UnitId): void;
  /** @param dropped nobody gets it instead */
  returned(unit: UnitId, reason: string, dropped: boolean): void;
}

/**
 * The leases of this worker. All of them are extended until they are settled, those of waiting units too, from a timer
 * of the main thread: a session that computes for a minute in the engine's thread loses none.
 */
export class HeldUnits implements Disposable {
  private readonly waitingUnits = new Set<HeldUnit>();
  private readonly settlingUnits = new Set<HeldUnit>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    leaseSeconds: number,
    private readonly events: LeaseEvents,
  ) {
    this.timer = setInterval(() => this.extendAll(), (leaseSeconds * 1000) / 3);
  }

  /** Not begun, in the order in which they should be. */
  get waiting(): HeldUnit[] {
    return [...this.waitingUnits].sort(byUrgency);
  }

  get settling(): number {
    return this.settlingUnits.size;
  }

  /** Whether it is held already, whatever the attempt. */
  has(id: UnitId): boolean {
    return [...this.waitingUnits, ...this.settlingUnits].some(({ lease }) => isSame(lease.unit.id, id));
  }

  /**
   * The same unit offered again while it waits here: one offer of it is enough, the latest, since who offers it may have
   * nothing of the one before any more. Of one that is being computed it is not: this offer may have been made since its
   * result did not count.
   * @returns whether it waits
   */
  takeAgain(lease: Lease): boolean {
    const { id } = lease.unit;
    const unit = this.waiting.find((held) => isSame(held.lease.unit.id, id));
    if (unit === undefined) return false;
    unit.lease.acknowledge();
    unit.lease = lease;
    this.events.taken(id);
    return true;
  }

  add(lease: Lease, prepared: Promise<PreparedUnit>, span: TraceSpan): void {
    // Its failure is met when it is computed; until then nobody may call it unhandled.
    prepared.catch(() => undefined);
    this.waitingUnits.add({ lease, prepared, span });
    this.events.taken(lease.unit.id);
  }

  /** The unit is being computed from now on: it is settled by {@link settle}. */
  begin(unit: HeldUnit): void {
    this.waitingUnits.delete(unit);
    this.settlingUnits.add(unit);
  }

  /** Nobody needs the offer any more: its result was judged, or another will be made. */
  settle(unit: HeldUnit): void {
    this.forget(unit);
    unit.lease.acknowledge();
  }

  /** Drops a unit that no step needs. */
  drop(unit: HeldUnit, reason: string): void {
    unit.span.set({ 'showtell.outcome': reason });
    this.settle(unit);
    this.events.returned(unit.lease.unit.id, reason, true);
  }

  giveBack(unit: HeldUnit, reason: string): void {
    unit.span.set({ 'showtell.outcome': 'given-back', 'showtell.reason': reason });
    this.forget(unit);
    unit.lease.giveBack();
    this.events.returned(unit.lease.unit.id, reason, false);
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }

  private forget(unit: HeldUnit): void {
    this.waitingUnits.delete(unit);
    this.settlingUnits.delete(unit);
    unit.span.end();
  }

  private extendAll(): void {
    for (const { lease } of [...this.waitingUnits, ...this.settlingUnits]) lease.extend();
  }
}

/** Whatever the attempt. */
function isSame(a: UnitId, b: UnitId): boolean {
  return a.lineage === b.lineage && a.step === b.step && a.index === b.index && a.evaluation === b.evaluation;
}

/** Earlier steps first, evaluations before the step they hold up, then by index. */
function byUrgency(a: HeldUnit, b: HeldUnit): number {
  const [x, y] = [a.lease.unit.id, b.lease.unit.id];
  if (x.lineage !== y.lineage) return x.lineage - y.lineage;
  if (x.step !== y.step) return x.step - y.step;
  if (x.evaluation !== y.evaluation) return x.evaluation ? -1 : 1;
  return x.index - y.index;
}

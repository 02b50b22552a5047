import type { ShowtellError } from '@showtell/shared/errors.js';
import type { Unit } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { Offer } from './offered-units.js';
import { UnitFaults, type AccusedUnit, type Fault } from './unit-faults.js';
import { offerKey, type Worker, type Workers } from './workers.js';

/** So long after its session broke a worker is waited for, before a unit is said to have killed it. */
export const returnMs = 5_000;

export interface UnitJudgeOptions {
  readonly workers: () => Workers;
  /** Names a unit's records for a person. */
  readonly describe: (unit: Unit) => string;
  /** Does something after {@link returnMs}, if the run is not over then; `what` is for the log. */
  readonly later: (what: string, work: () => Promise<void>) => void;
  /** A unit that cannot be computed ends the run. */
  readonly onPoison: (error: ShowtellError) => void;
}

/** What is held against a unit. */
interface Case {
  readonly offer: Offer;
  readonly faults: UnitFaults;
  /** Whether it will be asked in a moment if workers died of it. */
  isPending: boolean;
}

/** Tells a unit that no worker can compute from workers that cannot, and ends the run for it. */
export class UnitJudge {
  private readonly cases = new Map<string, Case>();

  constructor(private readonly options: UnitJudgeOptions) {}

  /** A unit was settled: whatever went wrong with it is over. */
  settle(key: string): void {
    this.cases.delete(key);
  }

  /** All that was offered is withdrawn. */
  clear(): void {
    this.cases.clear();
  }

  /**
   * A worker could not compute it.
   * @returns whether the run ends for it, so that it need not be offered again
   */
  failed(offer: Offer, fault: Fault): boolean {
    const { faults } = this.open(offer);
    faults.failed(fault);
    return this.endsRun(offer, this.options.workers().list.length);
  }

  /** Its result was refused. @returns as {@link failed} */
  refused(offer: Offer, fault: Fault): boolean {
    this.open(offer).faults.refused(fault);
    return this.endsRun(offer, this.options.workers().list.length);
  }

  /**
   * The session of a worker that held it broke: it counts against the unit, more while others live. Where that would end the
   * run it is waited first whether it was the network.
   */
  lost(offer: Offer, { id, instance }: Worker): void {
    // The one that died, too: with it gone another would be alone, and what one has done would do.
    const present = this.options.workers().list.length + 1;
    const fault = { worker: id, detail: 'the worker died while it held the unit', instance };
    const { faults } = this.open(offer);
    if (present === 1) faults.lostAlone(fault);
    else faults.failed(fault);
    this.endsRun(offer, present);
  }

  /** A worker is in session; if it is one that was lost, nothing killed it. */
  joined({ instance }: Worker): void {
    for (const { faults } of this.cases.values()) faults.returned(instance);
  }

  private open(offer: Offer): Case {
    const key = offerKey(offer.id);
    const known = this.cases.get(key);
    if (known !== undefined) return known;
    const opened = { offer, faults: new UnitFaults(), isPending: false };
    this.cases.set(key, opened);
    return opened;
  }

  /** @param present workers among which the fault would be the unit's */
  private endsRun(offer: Offer, present: number): boolean {
    const one = this.open(offer);
    const error = verdict(one, present, this.options.describe);
    if (error === null) return false;
    const isSure = !one.faults.mayReturn;
    if (isSure) this.options.onPoison(error);
    else this.askLater(one, present);
    return isSure;
  }

  /** Who is cut off from all workers at once learns nothing of a unit. */
  private askLater(one: Case, present: number): void {
    if (one.isPending) return;
    one.isPending = true;
    const key = offerKey(one.offer.id);
    this.options.later(`see whether ${key} killed its workers`, async () => {
      one.isPending = false;
      if (this.cases.get(key) !== one) return;
      const error = verdict(one, present, this.options.describe);
      if (error === null) return;
      if (this.options.workers().list.length === 0) this.askLater(one, present);
      else this.options.onPoison(error);
    });
  }
}

function verdict({ offer, faults }: Case, workers: number, describe: (unit: Unit) => string): ShowtellError | null {
  return faults.verdict(workers, (): AccusedUnit => {
    const { id } = offer;
    const unit = `${id.evaluation ? 'evaluation ' : ''}unit ${id.index} of step ${id.step}`;
    return { unit, records: describe(offer) };
  });
}

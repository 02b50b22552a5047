import { ShowtellError } from '@showtell/shared/errors.js';

/** Faults of a unit after which it is the unit's, by as many workers where there are as many. */
const faultsPerUnit = 3;
/** Workers that must have died of it, one after the other, where there was never another: someone may have ended each. */
const deathsAlone = 5;

/** What a worker could not do with a unit. */
export interface Fault {
  readonly worker: string;
  readonly detail: string;
  /** Of the error table; empty for none. */
  readonly code?: string;
  /** Set where its session broke while it held the unit: it may come back, and has not died of it then. */
  readonly instance?: string;
}

/** How the run names a unit that it ends for. */
export interface AccusedUnit {
  readonly unit: string;
  readonly records: string;
}

/** What went wrong with one unit, whoever computed it, and when that ends the run. */
export class UnitFaults {
  private readonly failures: Fault[] = [];
  private readonly refusals: Fault[] = [];
  /** Of workers that were the only one. */
  private readonly alone: Fault[] = [];

  /** A worker could not compute it, or was lost with it. */
  failed(fault: Fault): void {
    keep(this.failures, fault);
  }

  /** The only worker was lost with it. */
  lostAlone(fault: Fault): void {
    this.alone.push(fault);
    if (this.alone.length > deathsAlone) this.alone.shift();
  }

  /** Its result was refused. */
  refused(fault: Fault): void {
    keep(this.refusals, fault);
  }

  /** The process of a worker that was lost is there: it did not die. */
  returned(instance: string): void {
    for (const faults of [this.failures, this.alone]) {
      const others = faults.filter((fault) => fault.instance === undefined || fault.instance !== instance);
      faults.splice(0, faults.length, ...others);
    }
  }

  /** Whether workers are among its faults of which it is not known yet. */
  get mayReturn(): boolean {
    return [...this.failures, ...this.alone].some(({ instance }) => instance !== undefined);
  }

  /**
   * @param workers that are in session
   * @returns what ends the run: ShowtellError `unit/poison`, or `unit/out-of-memory` where nothing else was ever wrong
   */
  verdict(workers: number, accused: () => AccusedUnit): ShowtellError | null {
    const enough = [this.failures, this.refusals].find((faults) => areOfUnit(faults, workers));
    const against = enough ?? (this.alone.length >= deathsAlone ? this.alone : undefined);
    if (against === undefined) return null;
    const { unit, records } = accused();
    const failures = against.map(({ worker, detail }) => `${worker}: ${detail}`);
    return against.every(({ code }) => code === 'engine/out-of-memory')
      ? new ShowtellError('unit/out-of-memory', { unit, failures })
      : new ShowtellError('unit/poison', { unit, failures, records });
  }
}

/** Of one worker no more than can count: it may fail the same unit for ever while the others are slow. */
function keep(faults: Fault[], fault: Fault): void {
  const own = faults.filter(({ worker }) => worker === fault.worker);
  const [oldest] = own;
  if (oldest !== undefined && own.length >= faultsPerUnit) faults.splice(faults.indexOf(oldest), 1);
  faults.push(fault);
}

/** One worker alone proves nothing against a unit as long as there are others: it may be the worker's fault. */
function areOfUnit(faults: readonly Fault[], workers: number): boolean {
  const by = new Set(faults.map(({ worker }) => worker));
  return faults.length >= faultsPerUnit && by.size >= Math.min(faultsPerUnit, workers);
}

import { ShowtellError } from '@showtell/shared/errors.js';

/** Failures of a unit after which the fault is the unit's, by as many workers where there are as many. */
const failuresPerUnit = 3;
/** A wrong gradient is recomputed once: the same numbers again are the unit's, not the worker's, if another has them too. */
const refusalsPerUnit = 2;

interface Fault {
  readonly worker: string;
  readonly detail: string;
}

/** How the run names a unit that it ends for. */
export interface AccusedUnit {
  readonly unit: string;
  readonly records: string;
}

/** What went wrong with one unit, whoever computed it, and when that ends the run. */
export class UnitFaults {
  readonly #failures: Fault[] = [];
  readonly #refusals: Fault[] = [];
  #outOfMemory = 0;

  /** Times that a worker could not compute it, or died while it held it. */
  get failures(): number {
    return this.#failures.length;
  }

  /** Whether this worker could not compute it before. */
  hasFailedBy(worker: string): boolean {
    return this.#failures.some((fault) => fault.worker === worker);
  }

  /**
   * @param code of the error table; empty for none
   * @param workers that are in session
   * @returns what ends the run: ShowtellError `unit/poison`, or `unit/out-of-memory` where nothing else was ever wrong
   */
  failed({ worker, detail }: Fault, code: string, workers: number, accused: () => AccusedUnit): ShowtellError | null {
    this.#failures.push({ worker, detail });
    if (code === 'engine/out-of-memory') this.#outOfMemory++;
    if (!areOfUnit(this.#failures, failuresPerUnit, workers)) return null;
    const { unit, records } = accused();
    const failures = this.#failures.map(told);
    return this.#outOfMemory >= failures.length
      ? new ShowtellError('unit/out-of-memory', { unit, failures })
      : new ShowtellError('unit/poison', { unit, failures, records });
  }

  /** Its result was refused. @returns what ends the run: ShowtellError `unit/poison` */
  refused({ worker, detail }: Fault, workers: number, accused: () => AccusedUnit): ShowtellError | null {
    this.#refusals.push({ worker, detail });
    if (!areOfUnit(this.#refusals, refusalsPerUnit, workers)) return null;
    return new ShowtellError('unit/poison', { ...accused(), failures: this.#refusals.map(told) });
  }
}

/** One worker alone proves nothing against a unit as long as there are others: it may be the worker's fault. */
function areOfUnit(faults: readonly Fault[], least: number, workers: number): boolean {
  const by = new Set(faults.map(({ worker }) => worker));
  return faults.length >= least && by.size >= Math.min(least, workers);
}

const told = ({ worker, detail }: Fault): string => `${worker}: ${detail}`;

import { ShowtellError } from '@showtell/shared/errors.js';

/** Failures of a unit after which the fault is the unit's. */
const failuresPerUnit = 3;
/** A wrong gradient is recomputed once: the same numbers again are the unit's, not the worker's. */
const refusalsPerUnit = 2;

/** How the run names a unit that it ends for. */
export interface AccusedUnit {
  readonly unit: string;
  readonly records: string;
}

/** What went wrong with one unit, whoever computed it, and when that ends the run. */
export class UnitFaults {
  readonly #failures: string[] = [];
  readonly #refusals: string[] = [];
  #outOfMemory = 0;

  /** Times that a worker could not compute it, or died while it held it. */
  get failures(): number {
    return this.#failures.length;
  }

  /**
   * @param code of the error table; empty for none
   * @returns what ends the run: ShowtellError `unit/poison`, or `unit/out-of-memory` where nothing else was ever wrong
   */
  failed(worker: string, detail: string, code: string, accused: () => AccusedUnit): ShowtellError | null {
    this.#failures.push(`${worker}: ${detail}`);
    if (code === 'engine/out-of-memory') this.#outOfMemory++;
    if (this.#failures.length < failuresPerUnit) return null;
    const { unit, records } = accused();
    const failures = this.#failures;
    return this.#outOfMemory >= failures.length
      ? new ShowtellError('unit/out-of-memory', { unit, failures })
      : new ShowtellError('unit/poison', { unit, failures, records });
  }

  /** Its result was refused. @returns what ends the run: ShowtellError `unit/poison` */
  refused(worker: string, detail: string, accused: () => AccusedUnit): ShowtellError | null {
    this.#refusals.push(`${worker}: ${detail}`);
    if (this.#refusals.length < refusalsPerUnit) return null;
    return new ShowtellError('unit/poison', { ...accused(), failures: this.#refusals });
  }
}

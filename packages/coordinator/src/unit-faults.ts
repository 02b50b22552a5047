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
  readonly #failures: (Fault & { readonly code: string })[] = [];
  readonly #refusals: Fault[] = [];

  /**
   * @param code of the error table; empty for none
   * @param workers that are in session
   * @returns what ends the run: ShowtellError `unit/poison`, or `unit/out-of-memory` where nothing else was ever wrong
   */
  failed({ worker, detail }: Fault, code: string, workers: number, accused: () => AccusedUnit): ShowtellError | null {
    keep(this.#failures, { worker, detail, code }, failuresPerUnit);
    if (!areOfUnit(this.#failures, failuresPerUnit, workers)) return null;
    const { unit, records } = accused();
    const failures = this.#failures.map(told);
    return this.#failures.every((fault) => fault.code === 'engine/out-of-memory')
      ? new ShowtellError('unit/out-of-memory', { unit, failures })
      : new ShowtellError('unit/poison', { unit, failures, records });
  }

  /** Its result was refused. @returns what ends the run: ShowtellError `unit/poison` */
  refused({ worker, detail }: Fault, workers: number, accused: () => AccusedUnit): ShowtellError | null {
    keep(this.#refusals, { worker, detail }, refusalsPerUnit);
    if (!areOfUnit(this.#refusals, refusalsPerUnit, workers)) return null;
    return new ShowtellError('unit/poison', { ...accused(), failures: this.#refusals.map(told) });
  }
}

/** Of one worker no more than can count: it may fail the same unit for ever while the others are slow. */
function keep<T extends Fault>(faults: T[], fault: T, perWorker: number): void {
  const own = faults.filter(({ worker }) => worker === fault.worker);
  const [oldest] = own;
  if (oldest !== undefined && own.length >= perWorker) faults.splice(faults.indexOf(oldest), 1);
  faults.push(fault);
}

/** One worker alone proves nothing against a unit as long as there are others: it may be the worker's fault. */
function areOfUnit(faults: readonly Fault[], least: number, workers: number): boolean {
  const by = new Set(faults.map(({ worker }) => worker));
  return faults.length >= least && by.size >= Math.min(least, workers);
}

const told = ({ worker, detail }: Fault): string => `${worker}: ${detail}`;

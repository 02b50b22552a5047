import type { PhaseName } from '@showtell/shared/job/phases.js';

/** Units that take about as long as one another. */
export type UnitKind = PhaseName | 'perplexity' | 'captions';

/** Units that the running median is of. */
const window = 64;
/** Before so many are known, the median tells too little: the first of a phase also compile. */
const fewest = 8;
/** Units shorter than this are left alone: an offer would come later than the result. */
const shortestMs = 500;

/** How long units take from when they could be computed to their results: a running median for each kind. */
export class UnitTimes {
  readonly #last = new Map<UnitKind, number[]>();

  add(kind: UnitKind, ms: number): void {
    const last = this.#last.get(kind) ?? [];
    this.#last.set(kind, [...last, ms].slice(-window));
  }

  /** In ms; null while there are too few. */
  median(kind: UnitKind): number | null {
    const last = this.#last.get(kind) ?? [];
    if (last.length < fewest) return null;
    return last.toSorted((a, b) => a - b)[Math.floor(last.length / 2)] ?? null;
  }
}

/** After how many ms a unit lags, if the last ones took `medianMs`; Infinity: it never does. */
export function overdueMs(medianMs: number | null, factor: number | null): number {
  return medianMs === null || factor === null ? Infinity : Math.max(shortestMs, factor * medianMs);
}

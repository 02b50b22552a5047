/**
 * The fixed binary tree by which the units of a step are summed: at each level neighbours 2j and 2j + 1 are added, and
 * an odd last one passes up as it is. The tree depends on the number of units alone. Adding is done as soon as a node's
 * sibling is there, so at most half of the units' sums wait at a time, in order about log2 of them; a + b and b + a are
 * the same bits, so arrival order does not reach the sum.
 */
export class StepSum<Sum> {
  readonly #counts: number[] = [];
  readonly #waiting = new Map<string, Sum>();

  constructor(units: number) {
    for (let count = units; ; count = Math.ceil(count / 2)) {
      this.#counts.push(count);
      if (count === 1) break;
    }
  }

  /** What adding unit `index` comes to: the siblings it meets on its way up, and where the sum then stands. */
  plan(index: number): PlannedSum<Sum> {
    const met: string[] = [];
    const siblings: Sum[] = [];
    let level = 0;
    let position = index;
    while (level < this.#counts.length - 1) {
      const sibling = position ^ 1;
      if (sibling < (this.#counts[level] ?? 0)) {
        const key = `${level}/${sibling}`;
        const sum = this.#waiting.get(key);
        if (sum === undefined) break;
        met.push(key);
        siblings.push(sum);
      }
      position >>= 1;
      level += 1;
    }
    return { node: `${level}/${position}`, met, siblings, complete: level === this.#counts.length - 1 };
  }

  /** Puts the sum that {@link plan} described in the place of its siblings. */
  commit(plan: PlannedSum<Sum>, sum: Sum): void {
    for (const key of plan.met) this.#waiting.delete(key);
    this.#waiting.set(plan.node, sum);
  }

  /** Sums that wait, for giving back their memory. */
  get waiting(): Iterable<Sum> {
    return this.#waiting.values();
  }
}

export interface PlannedSum<Sum> {
  readonly node: string;
  readonly met: readonly string[];
  /** In the order in which they are added. */
  readonly siblings: readonly Sum[];
  /** Whether the sum is the whole step's. */
  readonly complete: boolean;
}

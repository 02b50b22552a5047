/** Who computed a unit that was applied. */
export interface AppliedBy {
  readonly worker: string;
  readonly attempt: number;
}

/** Units of which is remembered who computed them: answers may be missed, and asked for again. */
const remembered = 2_048;

/**
 * Which units an asynchronous run has applied. They are numbered by their steps; all before {@link next} are applied but
 * for those {@link missing}.
 */
export class AppliedUnits {
  readonly #missing: Set<number>;
  #next: number;
  readonly #by = new Map<number, AppliedBy>();

  /**
   * @param updates made so far: as many as there are units applied
   * @param missing units before the last applied one that are not, rising
   */
  constructor(updates: number, missing: readonly number[]) {
    this.#missing = new Set(missing);
    this.#next = updates + missing.length;
  }

  /** The first unit after all that are applied. */
  get next(): number {
    return this.#next;
  }

  /** Units before {@link next} that are not applied, rising. */
  get missing(): number[] {
    return [...this.#missing].sort((a, b) => a - b);
  }

  has(unit: number): boolean {
    return unit < this.#next && !this.#missing.has(unit);
  }

  /** Who computed it; null when that is not known any more, or it is not applied. */
  by(unit: number): AppliedBy | null {
    return this.#by.get(unit) ?? null;
  }

  add(unit: number, by: AppliedBy): void {
    if (this.has(unit)) throw new RangeError(`unit ${unit} is applied already`);
    for (; this.#next <= unit; this.#next++) this.#missing.add(this.#next);
    this.#missing.delete(unit);
    this.#by.set(unit, by);
    const oldest = this.#by.size > remembered ? this.#by.keys().next().value : undefined;
    if (oldest !== undefined) this.#by.delete(oldest);
  }
}

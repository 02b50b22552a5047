import { type Band, type HistoryPart, type PartName, partNames, type StepRow } from './page/payload.js';

/** What is kept of a step. */
export interface HistoryStep {
  /** Updates applied with it. */
  readonly step: number;
  readonly loss: number;
  readonly seconds: number;
  readonly examples: number;
  readonly parts: Readonly<Record<PartName, number>> | null;
}

const columnNames = ['step', 'loss', 'seconds', 'examples', ...partNames] as const;
type Column = (typeof columnNames)[number];

/**
 * A run's steps as columns of numbers, in rising order: a step that comes again, after a rollback or a resumption,
 * replaces itself and all after it.
 */
export class History {
  #columns: Record<Column, Float64Array> = columns(1024);
  #count = 0;
  #revision = 0;

  get count(): number {
    return this.#count;
  }

  get revision(): number {
    return this.#revision;
  }

  /** The last step; 0 where there is none. */
  get last(): number {
    return this.#count === 0 ? 0 : this.#at('step', this.#count - 1);
  }

  add({ step, loss, seconds, examples, parts }: HistoryStep): void {
    if (this.#count > 0 && step <= this.last) {
      this.#count = this.#indexOf(step);
      this.#revision++;
    }
    if (this.#count === this.#columns.step.length) this.#grow();
    const at = this.#count++;
    const own = this.#columns;
    own.step[at] = step;
    own.loss[at] = loss;
    own.seconds[at] = seconds;
    own.examples[at] = examples;
    for (const name of partNames) own[name][at] = parts?.[name] ?? NaN;
  }

  clear(): void {
    this.#count = 0;
    this.#revision++;
  }

  /** Steps after `step`, each by itself. */
  rowsAfter(step: number): StepRow[] {
    const rows: StepRow[] = [];
    for (let i = this.#indexOf(step + 1); i < this.#count; i++) {
      const seconds = this.#at('seconds', i);
      const parts = partNames.map((name) => digits(this.#at(name, i)));
      const images = digits(this.#at('examples', i) / seconds) ?? 0;
      rows.push([this.#at('step', i), digits(this.#at('loss', i)), digits(seconds) ?? 0, images, ...parts]);
    }
    return rows;
  }

  /**
   * The steps from `from` to `to`, in stretches of equally many steps: at most `stretches` of them, so that a chart of
   * that width loses no peak.
   */
  part(from: number, to: number, stretches: number): HistoryPart {
    const [begin, end] = [this.#indexOf(from), this.#indexOf(to + 1)];
    const stretch = Math.max(1, Math.ceil((end - begin) / Math.max(1, stretches)));
    const starts: number[] = [];
    for (let i = begin; i < end; i += stretch) starts.push(i);
    const each = <T>(of: (low: number, high: number) => T): T[] =>
      starts.map((low) => of(low, Math.min(low + stretch, end)));
    const mean = (name: Column): (number | null)[] =>
      each((low, high) => digits(this.#sum(name, low, high) / (high - low)));
    const { loss, seconds, examples } = this.#columns;
    return {
      revision: this.#revision,
      count: this.#count,
      first: this.#count === 0 ? 0 : this.#at('step', 0),
      last: this.last,
      stretch,
      steps: each((_, high) => this.#at('step', high - 1)),
      loss: { mean: mean('loss'), ...extremes(each, (i) => loss[i]) },
      seconds: { mean: mean('seconds'), ...extremes(each, (i) => seconds[i]) },
      images: {
        mean: each((low, high) => digits(this.#sum('examples', low, high) / this.#sum('seconds', low, high))),
        ...extremes(each, (i) => (examples[i] ?? NaN) / (seconds[i] ?? NaN)),
      },
      parts: byPart(mean),
    };
  }

  #at(name: Column, index: number): number {
    return this.#columns[name][index] ?? NaN;
  }

  #sum(name: Column, low: number, high: number): number {
    const column = this.#columns[name];
    let sum = 0;
    for (let i = low; i < high; i++) sum += column[i] ?? NaN;
    return sum;
  }

  /** Of the first step that is not before `step`. */
  #indexOf(step: number): number {
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#at('step', middle) < step) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #grow(): void {
    const wider = columns(this.#columns.step.length * 2);
    for (const name of columnNames) wider[name].set(this.#columns[name]);
    this.#columns = wider;
  }
}

function byPart<T>(of: (name: PartName) => T): Record<PartName, T> {
  return Object.fromEntries(partNames.map((name) => [name, of(name)])) as Record<PartName, T>;
}

function columns(length: number): Record<Column, Float64Array> {
  return Object.fromEntries(columnNames.map((name) => [name, new Float64Array(length)])) as Record<
    Column,
    Float64Array
  >;
}

function extremes(
  each: (of: (low: number, high: number) => number | null) => (number | null)[],
  value: (index: number) => number | undefined,
): Pick<Band, 'low' | 'high'> {
  const extreme = (isBeyond: (one: number, other: number) => boolean) =>
    each((low, high) => {
      let found = NaN;
      for (let i = low; i < high; i++) {
        const one = value(i) ?? NaN;
        if (Number.isNaN(found) || isBeyond(one, found)) found = one;
      }
      return digits(found);
    });
  return { low: extreme((one, other) => one < other), high: extreme((one, other) => one > other) };
}

/** Five significant ones; null for what is no number, which JSON has none of. */
function digits(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(5)) : null;
}

import type { GradientHeader } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { ShowtellError } from '@showtell/shared/errors.js';

/** One unit as it was counted, for the account of which record counted when. */
export interface CountedUnit {
  /** Asynchronous mode: its place in the plan, which is not that of the update it made. */
  readonly step: number;
  readonly index: number;
  /** Asynchronous mode: updates between the version it was computed with and the one it was applied to. */
  readonly staleness: number | null;
  readonly worker: string;
  readonly attempt: number;
  readonly examples: number;
  readonly tokens: number;
  readonly lossSum: number;
  /** Positions within the unit of records that were skipped. */
  readonly skipped: readonly number[];
  readonly computeSeconds: number;
  /** That the worker's engine stood idle for its records. */
  readonly dataSeconds: number;
}

/** What a step's gradient was made of; the sum itself lies with the shards. */
export interface StepGradient {
  /** In unit order. */
  readonly accepted: readonly CountedUnit[];
  readonly examples: number;
  readonly tokens: number;
  readonly lossSum: number;
  /** That summing took. */
  readonly sumSeconds: number;
}

/** The units of one version as they came in. */
export class GradientRound {
  /** Units so far, by index. */
  readonly counted = new Map<number, CountedUnit>();
  /** Resolves when another round takes its place. */
  readonly over: Promise<void>;
  readonly #whole: Promise<void>;
  #resolve: () => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;
  #end: () => void = () => undefined;
  #sumSeconds = 0;

  constructor(private readonly units: number) {
    this.over = new Promise((resolve) => (this.#end = resolve));
    this.#whole = new Promise((resolve, reject) => ([this.#resolve, this.#reject] = [resolve, reject]));
  }

  /** Examples of all units, if this one completes the step; null: others are missing. */
  examplesWith(header: GradientHeader): number | null {
    if (this.counted.size + 1 < this.units) return null;
    return [...this.counted.values()].reduce((total, unit) => total + unit.examples, header.examples);
  }

  /** Counts a unit that all shards have added. */
  commit(header: GradientHeader, seconds: number, staleness: number | null = null): void {
    const { worker, examples, tokens, lossSum, skipped, computeSeconds, dataSeconds, unit } = header;
    const { step = 0, index = 0, attempt = 0 } = unit ?? {};
    const facts = { step, index, staleness, worker, attempt, examples, tokens, lossSum, skipped };
    this.counted.set(index, { ...facts, computeSeconds, dataSeconds });
    this.#sumSeconds += seconds;
    if (this.isWhole) this.#resolve();
  }

  /** Whether all units are in. */
  get isWhole(): boolean {
    return this.counted.size === this.units;
  }

  /** Another round takes its place. */
  end(): void {
    this.#end();
  }

  /** Resolves once all units are in. @throws ShowtellError `parameters/out-of-order` when it is abandoned before */
  async gradient(): Promise<StepGradient> {
    await this.#whole;
    const accepted = [...this.counted.values()].sort((a, b) => a.index - b.index);
    const total = (of: (unit: CountedUnit) => number): number => accepted.reduce((sum, unit) => sum + of(unit), 0);
    return {
      accepted,
      examples: total((unit) => unit.examples),
      tokens: total((unit) => unit.tokens),
      lossSum: total((unit) => unit.lossSum),
      sumSeconds: this.#sumSeconds,
    };
  }

  /** Its gradient never comes. */
  abandon(why: string): void {
    // Nobody may be waiting for it.
    this.#whole.catch(() => undefined);
    this.#reject(new ShowtellError('parameters/out-of-order', { detail: why }));
  }
}

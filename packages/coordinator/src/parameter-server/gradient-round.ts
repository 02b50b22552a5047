import type { GradientHeader } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { type PlannedSum, StepSum } from './step-sum.js';

/** One unit as it was counted, for the account of which record counted when. */
export interface CountedUnit {
  readonly index: number;
  readonly worker: string;
  readonly attempt: number;
  readonly examples: number;
  readonly tokens: number;
  readonly lossSum: number;
  /** Positions within the unit of records that were skipped. */
  readonly skipped: readonly number[];
  readonly computeSeconds: number;
}

/** A step's gradient, with what it was made of. */
export interface StepGradient {
  readonly memory: SharedArrayBuffer;
  /** In unit order. */
  readonly accepted: readonly CountedUnit[];
  readonly examples: number;
  readonly tokens: number;
  readonly lossSum: number;
  /** That summing took. */
  readonly sumSeconds: number;
}

/** The gradient of one version as far as units came in. */
export class GradientRound {
  /** Units so far, by index. */
  readonly counted = new Map<number, CountedUnit>();
  readonly #sum: StepSum<SharedArrayBuffer>;
  readonly #whole: Promise<SharedArrayBuffer>;
  #resolve: (gradient: SharedArrayBuffer) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;
  #sumSeconds = 0;

  constructor(units: number) {
    this.#sum = new StepSum(units);
    this.#whole = new Promise((resolve, reject) => ([this.#resolve, this.#reject] = [resolve, reject]));
  }

  /** What adding a unit comes to, and how many examples there are with it. */
  plan(header: GradientHeader): { readonly sum: PlannedSum<SharedArrayBuffer>; readonly examples: number } {
    const before = [...this.counted.values()].reduce((total, unit) => total + unit.examples, 0);
    return { sum: this.#sum.plan(header.unit?.index ?? 0), examples: before + header.examples };
  }

  /** Counts a unit whose sum, as it was planned, lies in `memory`. */
  commit(
    header: GradientHeader,
    plan: PlannedSum<SharedArrayBuffer>,
    memory: SharedArrayBuffer,
    seconds: number,
  ): void {
    this.#sum.commit(plan, memory);
    const { worker, examples, tokens, lossSum, skipped, computeSeconds, unit } = header;
    const [index, attempt] = [unit?.index ?? 0, unit?.attempt ?? 0];
    this.counted.set(index, { index, worker, attempt, examples, tokens, lossSum, skipped, computeSeconds });
    this.#sumSeconds += seconds;
    if (plan.complete) this.#resolve(memory);
  }

  /** Resolves once all units are in. @throws ShowtellError `parameters/out-of-order` when it is abandoned before */
  async gradient(): Promise<StepGradient> {
    const memory = await this.#whole;
    const accepted = [...this.counted.values()].sort((a, b) => a.index - b.index);
    const total = (of: (unit: CountedUnit) => number): number => accepted.reduce((sum, unit) => sum + of(unit), 0);
    return {
      memory,
      accepted,
      examples: total((unit) => unit.examples),
      tokens: total((unit) => unit.tokens),
      lossSum: total((unit) => unit.lossSum),
      sumSeconds: this.#sumSeconds,
    };
  }

  /** Its gradient never comes. @returns the memory of what was summed */
  abandon(why: string): readonly SharedArrayBuffer[] {
    // Nobody may be waiting for it.
    this.#whole.catch(() => undefined);
    this.#reject(new ShowtellError('parameters/out-of-order', { detail: why }));
    return [...this.#sum.waiting];
  }
}

import type { Job } from '@showtell/shared/job/job.js';
import type { Segments } from '@showtell/shared/tensors/layout.js';

/**
 * The update rules as TensorFlow 1's optimizers compute them: what each keeps of a parameter, and with which numbers a
 * step is taken. Every gradient is dense: what fades with time fades also where a gradient is zero, in rows of the
 * embedding that no unit read too.
 */
export type OptimizerName = Job['optimizer']['name'];

/** A value that is kept for each trained value. */
export interface SlotKind {
  /** Its name is the parameter's with this behind it, as in TensorFlow's checkpoints. */
  readonly suffix: string;
  /** What it begins with. */
  readonly first: (optimizer: Job['optimizer']) => number;
}

const zero = (): number => 0;
const one = (): number => 1;

/** What each rule keeps, in the order in which its kernel takes it. */
export const slotKinds: Readonly<Record<OptimizerName, readonly SlotKind[]>> = {
  sgd: [],
  momentum: [{ suffix: '/Momentum', first: zero }],
  // The mean of squares, which begins with ones, and the velocity.
  rmsprop: [
    { suffix: '/RMSProp', first: one },
    { suffix: '/RMSProp_1', first: zero },
  ],
  // The mean and the mean of squares.
  adam: [
    { suffix: '/Adam', first: zero },
    { suffix: '/Adam_1', first: zero },
  ],
  // The sum of squares.
  adagrad: [{ suffix: '/Adagrad', first: ({ initialAccumulator }) => initialAccumulator }],
};

/** Adam's beta1^t and beta2^t for update t, counted from 1: products rounded to float32 one by one. */
export interface BetaPowers {
  readonly beta1: number;
  readonly beta2: number;
}

/** What an optimizer knows besides the parameters. */
export interface OptimizerState {
  readonly name: OptimizerName;
  /** In the order of {@link slotKinds}. */
  readonly slots: readonly Segments[];
  /** Of the next update; null for all but Adam. */
  readonly powers: BetaPowers | null;
}

/** A step's rule with its numbers. */
export type UpdateRule =
  | { readonly kind: 'sgd'; readonly rate: number }
  | { readonly kind: 'momentum'; readonly rate: number; readonly momentum: number }
  | {
      readonly kind: 'rmsprop';
      readonly rate: number;
      readonly decay: number;
      readonly momentum: number;
      readonly epsilon: number;
    }
  | {
      readonly kind: 'adam';
      /** Corrected for the means' having begun with zeros. */
      readonly rate: number;
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
    }
  | { readonly kind: 'adagrad'; readonly rate: number };

/** Added under the root or to it where the job names no number: Inception's for RMSProp, TensorFlow's for Adam. */
const defaultEpsilon = { rmsprop: 1, adam: 1e-8 } as const;

export function updateRule(optimizer: Job['optimizer'], learningRate: number, powers: BetaPowers | null): UpdateRule {
  const { name, momentum, decay, beta1, beta2, epsilon } = optimizer;
  switch (name) {
    case 'sgd':
      return { kind: 'sgd', rate: learningRate };
    case 'momentum':
      return { kind: 'momentum', rate: learningRate, momentum };
    case 'rmsprop':
      return { kind: 'rmsprop', rate: learningRate, decay, momentum, epsilon: epsilon ?? defaultEpsilon.rmsprop };
    case 'adam':
      if (powers === null) throw new TypeError("Adam's powers are missing");
      return {
        kind: 'adam',
        rate: correctedRate(learningRate, powers),
        beta1,
        beta2,
        epsilon: epsilon ?? defaultEpsilon.adam,
      };
    case 'adagrad':
      return { kind: 'adagrad', rate: learningRate };
  }
}

/** The powers of the first update. */
export function firstPowers({ name, beta1, beta2 }: Job['optimizer']): BetaPowers | null {
  return name === 'adam' ? { beta1: Math.fround(beta1), beta2: Math.fround(beta2) } : null;
}

/** The powers of the update after. */
export function nextPowers({ beta1, beta2 }: Job['optimizer'], powers: BetaPowers | null): BetaPowers | null {
  if (powers === null) return null;
  return {
    beta1: Math.fround(powers.beta1 * Math.fround(beta1)),
    beta2: Math.fround(powers.beta2 * Math.fround(beta2)),
  };
}

/** rate · √(1 − beta2^t) ÷ (1 − beta1^t), rounded to float32 operation by operation. */
function correctedRate(rate: number, powers: BetaPowers): number {
  const root = Math.fround(Math.sqrt(Math.fround(1 - powers.beta2)));
  return Math.fround(Math.fround(Math.fround(rate) * root) / Math.fround(1 - powers.beta1));
}

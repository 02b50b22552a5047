import { kernelsWasm } from './kernels-wasm.js';
import { blockElements } from './layout.js';

/** The part of the WebAssembly namespace that is used here; Node's types have none of it. */
declare const WebAssembly: {
  Memory: new (descriptor: { initial: number }) => { readonly buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: { env: { memory: object } }) => { readonly exports: unknown };
};

/** kernels.wat: addresses in bytes, n in elements. */
interface KernelExports {
  weigh(values: number, n: number, weight: number): number;
  add(sum: number, values: number, n: number): void;
  divide(values: number, n: number, divisor: number): void;
  addDecay(gradient: number, parameters: number, n: number, l2: number): void;
  sumOfSquares(values: number, n: number): number;
  descend(parameters: number, gradient: number, n: number, scale: number, rate: number): void;
  descendWithMomentum(
    parameters: number,
    velocity: number,
    gradient: number,
    n: number,
    scale: number,
    rate: number,
    momentum: number,
  ): void;
  descendWithRmsprop(
    parameters: number,
    square: number,
    velocity: number,
    gradient: number,
    n: number,
    scale: number,
    rate: number,
    decay: number,
    momentum: number,
    epsilon: number,
  ): void;
  descendWithAdam(
    parameters: number,
    mean: number,
    square: number,
    gradient: number,
    n: number,
    scale: number,
    rate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
  ): void;
  descendWithAdagrad(
    parameters: number,
    square: number,
    gradient: number,
    n: number,
    scale: number,
    rate: number,
  ): void;
  moveAverages(moving: number, batch: number, n: number, share: number): void;
  widen(narrow: number, wide: number, n: number): void;
  narrow(wide: number, narrow: number, n: number): void;
}

const regionBytes = blockElements * 4;
const address = {
  values: 0,
  other: regionBytes,
  third: 2 * regionBytes,
  fourth: 3 * regionBytes,
  narrow: 4 * regionBytes,
};

const kernels = new WebAssembly.Module(Buffer.from(kernelsWasm, 'base64'));

/**
 * A block's room in memory that WebAssembly computes on, four values at a time; small enough for a processor's own
 * cache. Values are copied in, worked on and copied out. Every operation is rounded to float32 by itself, sums of
 * squares are float64, so that the same operations in any language give the same bits.
 *
 * `n` is the number of elements, at most {@link blockElements}; what stands behind them is undefined afterwards.
 */
export class WorkArea {
  readonly #kernels: KernelExports;
  readonly values: Float32Array;
  readonly other: Float32Array;
  readonly third: Float32Array;
  readonly fourth: Float32Array;
  /** bfloat16 bits. */
  readonly bfloat16: Uint16Array;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: (5 * regionBytes) / 65_536 });
    this.#kernels = new WebAssembly.Instance(kernels, { env: { memory } }).exports as KernelExports;
    this.values = new Float32Array(memory.buffer, address.values, blockElements);
    this.other = new Float32Array(memory.buffer, address.other, blockElements);
    this.third = new Float32Array(memory.buffer, address.third, blockElements);
    this.fourth = new Float32Array(memory.buffer, address.fourth, blockElements);
    this.bfloat16 = new Uint16Array(memory.buffer, address.narrow, blockElements);
  }

  /** values ← values · weight. @returns whether all values were finite */
  weigh(weight: number, n: number): boolean {
    this.values.fill(0, n, roundUp(n));
    return this.#kernels.weigh(address.values, n, weight) === 0;
  }

  /** values ← values + other */
  add(n: number): void {
    this.#kernels.add(address.values, address.other, n);
  }

  /** values ← values ÷ divisor */
  divide(divisor: number, n: number): void {
    // Multiplying by the inverse of a power of two has the same bits and costs a fraction.
    if (isPowerOfTwo(divisor)) this.#kernels.weigh(address.values, n, 1 / divisor);
    else this.#kernels.divide(address.values, n, divisor);
  }

  /** values ← values + l2 · other, the product rounded first */
  addDecay(l2: number, n: number): void {
    this.#kernels.addDecay(address.values, address.other, n, l2);
  }

  /**
   * The sum of squares of the values in float64: four sums, of the elements whose index leaves 0, 1, 2 and 3 when
   * divided by 4, each in order; then (s0 + s1) + (s2 + s3).
   */
  sumOfSquares(n: number): number {
    this.values.fill(0, n, roundUp(n));
    return this.#kernels.sumOfSquares(address.values, n);
  }

  /** values ← values − rate · (scale · other) */
  descend(scale: number, rate: number, n: number): void {
    this.#kernels.descend(address.values, address.other, n, scale, rate);
  }

  /**
   * As TensorFlow's MomentumOptimizer: third ← momentum · third + scale · other, then values ← values − rate · third.
   */
  descendWithMomentum(scale: number, rate: number, momentum: number, n: number): void {
    this.#kernels.descendWithMomentum(address.values, address.third, address.other, n, scale, rate, momentum);
  }

  /**
   * As TensorFlow's RMSPropOptimizer, not centred, with g = scale · other: third ← third + (g² − third) · (1 − decay),
   * fourth ← momentum · fourth + rate · g ÷ √(third + epsilon), values ← values − fourth.
   */
  descendWithRmsprop(
    scale: number,
    rate: number,
    { decay, momentum, epsilon }: { readonly decay: number; readonly momentum: number; readonly epsilon: number },
    n: number,
  ): void {
    const { values, other, third, fourth } = address;
    this.#kernels.descendWithRmsprop(values, third, fourth, other, n, scale, rate, decay, momentum, epsilon);
  }

  /**
   * As TensorFlow's AdamOptimizer, with g = scale · other: third ← third + (g − third) · (1 − beta1), fourth ← fourth +
   * (g² − fourth) · (1 − beta2), values ← values − rate · third ÷ (√fourth + epsilon).
   * @param rate the corrected one: learning rate · √(1 − beta2^t) ÷ (1 − beta1^t)
   */
  descendWithAdam(
    scale: number,
    rate: number,
    { beta1, beta2, epsilon }: { readonly beta1: number; readonly beta2: number; readonly epsilon: number },
    n: number,
  ): void {
    const { values, other, third, fourth } = address;
    this.#kernels.descendWithAdam(values, third, fourth, other, n, scale, rate, beta1, beta2, epsilon);
  }

  /**
   * As TensorFlow's AdagradOptimizer, with g = scale · other: third ← third + g², then values ← values − rate · g ÷ √third.
   */
  descendWithAdagrad(scale: number, rate: number, n: number): void {
    this.#kernels.descendWithAdagrad(address.values, address.third, address.other, n, scale, rate);
  }

  /** values ← values − (values − other) · (1 − decay), as TensorFlow's assign_moving_average */
  moveAverages(decay: number, n: number): void {
    this.#kernels.moveAverages(address.values, address.other, n, 1 - decay);
  }

  /** values ← bfloat16 */
  widen(n: number): void {
    this.#kernels.widen(address.narrow, address.values, n);
  }

  /** bfloat16 ← values, rounded to the nearest, ties to even */
  narrow(n: number): void {
    this.#kernels.narrow(address.values, address.narrow, n);
  }
}

const roundUp = (n: number): number => Math.ceil(n / 4) * 4;

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value < 0x4000_0000 && (value & (value - 1)) === 0;
}

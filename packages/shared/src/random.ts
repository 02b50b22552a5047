import { createHash } from 'node:crypto';
import { exactLog } from './exact-math.js';

/** Φ(−2): the share of a normal distribution below two standard deviations, which a truncated one leaves out. */
const BELOW_TWO_SIGMA = 0.022750131948179207;

const TWO_TO_MINUS_24 = 1 / 0x1000000;
const TWO_TO_MINUS_32 = 1 / 0x100000000;

/**
 * A seeded stream of numbers: Doty-Humphrey's sfc32 (128 bits of state, one of them a counter, so no cycle is shorter
 * than 2^32), the same on every machine and every version of Node, since all that follows from it is made of
 * + − × ÷ sqrt and integers.
 */
export class Random {
  readonly #state: Int32Array;

  /** @param words three 32-bit words of seed; {@link random} makes them from a seed and a path of names */
  constructor(words: readonly [number, number, number]) {
    this.#state = Int32Array.of(words[0], words[1], words[2], 1);
    // Twelve rounds carry every bit of the seed into every word.
    for (let round = 0; round < 12; round++) this.uint32();
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const s = this.#state;
    const a = s[0] as number;
    const b = s[1] as number;
    const c = s[2] as number;
    const counter = s[3] as number;
    const out = (a + b + counter) | 0;
    s[3] = counter + 1;
    s[0] = b ^ (b >>> 9);
    s[1] = c + (c << 3);
    s[2] = ((c << 21) | (c >>> 11)) + out;
    return out >>> 0;
  }

  /** A float32 in [0, 1): a multiple of 2^−24. */
  float(): number {
    return (this.uint32() >>> 8) * TWO_TO_MINUS_24;
  }

  /** In [lo, hi). */
  uniform(lo: number, hi: number): number {
    return lo + (hi - lo) * this.float();
  }

  /**
   * An integer in [0, n), each equally likely.
   * @throws RangeError when n is no integer in [1, 2^32]
   */
  integer(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 0x100000000) throw new RangeError(`no integer below ${n} can be drawn`);
    const limit = 0x100000000 - (0x100000000 % n);
    let x = this.uint32();
    while (x >= limit) x = this.uint32();
    return x % n;
  }

  /** Mean 0, standard deviation 1, by the inverse of the distribution function. */
  normal(): number {
    return inverseNormal((this.uint32() + 0.5) * TWO_TO_MINUS_32);
  }

  /** As {@link normal}, but never beyond two standard deviations: TensorFlow's `truncated_normal` in distribution. */
  truncatedNormal(): number {
    const u = (this.uint32() + 0.5) * TWO_TO_MINUS_32;
    return inverseNormal(BELOW_TWO_SIGMA + (1 - 2 * BELOW_TWO_SIGMA) * u);
  }

  /** Fills an array with values in [lo, hi), the same as that many calls of {@link uniform}; returns it. */
  fillUniform(values: Float32Array, lo: number, hi: number): Float32Array {
    for (let i = 0; i < values.length; i++) values[i] = this.uniform(lo, hi);
    return values;
  }

  /** Fills an array with {@link normal} values of the given standard deviation; returns it. */
  fillNormal(values: Float32Array, stddev: number): Float32Array {
    for (let i = 0; i < values.length; i++) values[i] = this.normal() * stddev;
    return values;
  }

  /** Fills an array with {@link truncatedNormal} values scaled by `stddev` (the spread before truncation); returns it. */
  fillTruncatedNormal(values: Float32Array, stddev: number): Float32Array {
    for (let i = 0; i < values.length; i++) values[i] = this.truncatedNormal() * stddev;
    return values;
  }
}

/**
 * The stream that belongs to a seed and a path of names (`random(job.seed, 'dropout', step, unit)`): independent of
 * every other path's, whatever order they are drawn in.
 * @throws RangeError when the seed or a number of the path is no safe integer
 */
export function random(seed: number, ...path: readonly (string | number)[]): Random {
  for (const part of [seed, ...path]) {
    if (typeof part === 'number' && !Number.isSafeInteger(part)) throw new RangeError(`${part} cannot name a stream`);
  }
  const digest = createHash('sha256')
    .update(JSON.stringify([seed, ...path]))
    .digest();
  return new Random([digest.readInt32LE(0), digest.readInt32LE(4), digest.readInt32LE(8)]);
}

/** 0 … n − 1 in random order (Fisher–Yates). */
export function permutation(n: number, stream: Random): Uint32Array {
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  for (let i = n - 1; i > 0; i--) {
    const j = stream.integer(i + 1);
    const kept = order[i] as number;
    order[i] = order[j] as number;
    order[j] = kept;
  }
  return order;
}

/** The quantile of the normal distribution, 0 < p < 1, to about 1e-15: Wichura's AS 241, PPND16. */
export function inverseNormal(p: number): number {
  const q = p - 0.5;
  if (q <= 0.425 && q >= -0.425) {
    const r = 0.180625 - q * q;
    return (
      (q *
        (((((((r * 2509.0809287301226727 + 33430.575583588128105) * r + 67265.770927008700853) * r +
          45921.953931549871457) *
          r +
          13731.693765509461125) *
          r +
          1971.5909503065514427) *
          r +
          133.14166789178437745) *
          r +
          3.387132872796366608)) /
      (((((((r * 5226.495278852545925 + 28729.085735721942674) * r + 39307.89580009271061) * r +
        21213.794301586595867) *
        r +
        5394.1960214247511077) *
        r +
        687.1870074920579083) *
        r +
        42.313330701600911252) *
        r +
        1)
    );
  }
  const r = Math.sqrt(-exactLog(q < 0 ? p : 1 - p));
  const tail = r <= 5 ? nearTail(r - 1.6) : farTail(r - 5);
  return q < 0 ? -tail : tail;
}

function nearTail(r: number): number {
  return (
    (((((((r * 7.7454501427834140764e-4 + 0.0227238449892691845833) * r + 0.24178072517745061177) * r +
      1.27045825245236838258) *
      r +
      3.64784832476320460504) *
      r +
      5.7694972214606914055) *
      r +
      4.6303378461565452959) *
      r +
      1.42343711074968357734) /
    (((((((r * 1.05075007164441684324e-9 + 5.475938084995344946e-4) * r + 0.0151986665636164571966) * r +
      0.14810397642748007459) *
      r +
      0.68976733498510000455) *
      r +
      1.6763848301838038494) *
      r +
      2.05319162663775882187) *
      r +
      1)
  );
}

function farTail(r: number): number {
  return (
    (((((((r * 2.01033439929228813265e-7 + 2.71155556874348757815e-5) * r + 0.0012426609473880784386) * r +
      0.026532189526576123093) *
      r +
      0.29656057182850489123) *
      r +
      1.7848265399172913358) *
      r +
      5.4637849111641143699) *
      r +
      6.6579046435011037772) /
    (((((((r * 2.04426310338993978564e-15 + 1.4215117583164458887e-7) * r + 1.8463183175100546818e-5) * r +
      7.868691311456132591e-4) *
      r +
      0.0148753612908506148525) *
      r +
      0.13692988092273580531) *
      r +
      0.59983220655588793769) *
      r +
      1)
  );
}

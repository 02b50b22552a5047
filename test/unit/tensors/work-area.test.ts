import { fromBfloat16, toBfloat16 } from '@showtell/shared/tensors/bfloat16.js';
import { WorkArea } from '@showtell/shared/tensors/work-area.js';
import { expect, it } from 'vitest';

const f = Math.fround;
const area = new WorkArea();

/** Every kind of float32: all exponents, both signs, subnormals and zeros. */
function values(seed: number, n: number): Float32Array {
  const bits = new Uint32Array(n);
  let state = seed;
  for (let i = 0; i < n; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bits[i] = (state & 0x7f80_0000) === 0x7f80_0000 ? state & 0x807f_ffff : state;
  }
  const floats = new Float32Array(bits.buffer);
  floats.set([0, -0, 1, -1].slice(0, n));
  return floats;
}

const bitsOf = (floats: Float32Array): number[] => Array.from(new Uint32Array(floats.slice().buffer));

it.each([1, 2, 3, 4, 5, 7, 8, 63, 1_000, 65_536])('%i elements: the bits of the same operations in JavaScript', (n) => {
  const [x, y, z] = [values(1, n), values(2, n), values(3, n)];
  const check = (work: () => void, expected: (x: number, y: number, i: number) => number): void => {
    area.values.set(x);
    area.other.set(y);
    work();
    const wanted = Float32Array.from(x, (value, i) => expected(value, y[i]!, i));
    // NaN has many patterns; where one comes out, which does not matter.
    const got = area.values.slice(0, n).map((value) => (Number.isNaN(value) ? 0 : value));
    expect(bitsOf(got)).toEqual(bitsOf(wanted.map((value) => (Number.isNaN(value) ? 0 : value))));
  };
  check(
    () => area.weigh(3, n),
    (a) => f(a * 3),
  );
  check(
    () => area.add(n),
    (a, b) => f(a + b),
  );
  check(
    () => area.divide(11, n),
    (a) => f(a / 11),
  );
  check(
    () => area.divide(32, n),
    (a) => f(a / 32),
  );
  check(
    () => area.addDecay(0.00004, n),
    (a, b) => f(a + f(f(0.00004) * b)),
  );
  check(
    () => area.descend(0.3, 0.1, n),
    (a, b) => f(a - f(f(0.1) * f(f(0.3) * b))),
  );
  check(
    () => area.moveAverages(0.9997, n),
    (a, b) => f(a - f(f(a - b) * f(1 - 0.9997))),
  );
  const velocity = z.map((v, i) => f(f(f(0.9) * v) + f(f(0.3) * y[i]!)));
  area.third.set(z);
  check(
    () => area.descendWithMomentum(0.3, 0.1, 0.9, n),
    (a, _, i) => f(a - f(f(0.1) * velocity[i]!)),
  );

  const w = values(5, n).map((value) => Math.abs(value));
  const g = y.map((value) => f(f(0.3) * value));
  const decayed = (kept: Float32Array, to: (i: number) => number, share: number): Float32Array =>
    kept.map((value, i) => f(value + f(f(to(i) - value) * f(1 - f(share)))));
  const squares = decayed(w, (i) => f(g[i]! * g[i]!), 0.9);
  const moved = z.map((v, i) => f(f(f(0.8) * v) + f(f(f(0.1) * g[i]!) / f(Math.sqrt(f(squares[i]! + f(0.01)))))));
  area.third.set(w);
  area.fourth.set(z);
  check(
    () => area.descendWithRmsprop(0.3, 0.1, { decay: 0.9, momentum: 0.8, epsilon: 0.01 }, n),
    (a, _, i) => f(a - moved[i]!),
  );
  const plain = (floats: Float32Array): number[] => bitsOf(floats.map((value) => (Number.isNaN(value) ? 0 : value)));
  expect(plain(area.third.subarray(0, n))).toEqual(plain(squares));
  expect(plain(area.fourth.subarray(0, n))).toEqual(plain(moved));

  const means = decayed(z, (i) => g[i]!, 0.9);
  const slower = decayed(w, (i) => f(g[i]! * g[i]!), 0.999);
  area.third.set(z);
  area.fourth.set(w);
  check(
    () => area.descendWithAdam(0.3, 0.1, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }, n),
    (a, _, i) => f(a - f(f(f(0.1) * means[i]!) / f(f(Math.sqrt(slower[i]!)) + f(1e-8)))),
  );
  expect(plain(area.third.subarray(0, n))).toEqual(plain(means));
  expect(plain(area.fourth.subarray(0, n))).toEqual(plain(slower));

  const sums = w.map((value, i) => f(value + f(g[i]! * g[i]!)));
  area.third.set(w);
  check(
    () => area.descendWithAdagrad(0.3, 0.1, n),
    (a, _, i) => f(a - f(f(f(0.1) * g[i]!) / f(Math.sqrt(sums[i]!)))),
  );
  expect(plain(area.third.subarray(0, n))).toEqual(plain(sums));
});

it.each([1, 3, 5, 64, 65_536])('%i elements: sum of squares in four float64 lanes', (n) => {
  const x = values(9, n).map((value) => value % 1e3);
  area.values.fill(7);
  area.values.set(x);
  const lanes = [0, 0, 0, 0];
  x.forEach((value, i) => (lanes[i % 4]! += value * value));
  expect(area.sumOfSquares(n)).toBe(lanes[0]! + lanes[1]! + (lanes[2]! + lanes[3]!));
});

it('finds an infinity or NaN at any place, and none behind the last element', () => {
  for (const poison of [NaN, Infinity, -Infinity])
    for (const at of [0, 1, 5, 6]) {
      area.values.fill(3.4e38, 0, 7);
      expect(area.weigh(1, 7)).toBe(true);
      area.values[at] = poison;
      expect(area.weigh(1, 7)).toBe(false);
    }
  area.values.fill(1, 0, 7);
  area.values[7] = NaN;
  expect(area.weigh(1, 7)).toBe(true);
});

it('bfloat16 both ways as the plain loops have it', () => {
  const x = values(4, 1_001);
  x.set([NaN, Infinity, -Infinity, 3.4e38]);
  const narrow = new Uint16Array(x.length);
  toBfloat16(x, narrow);
  area.values.set(x);
  area.narrow(x.length);
  expect(Array.from(area.bfloat16.subarray(0, x.length))).toEqual(Array.from(narrow));
  const wide = new Float32Array(x.length);
  fromBfloat16(narrow, wide);
  area.widen(x.length);
  expect(bitsOf(area.values.slice(0, x.length))).toEqual(bitsOf(wide));
});

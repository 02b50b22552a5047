import { describe, expect, it } from 'vitest';
import { exactExp, exactLog, exactPow } from '@showtell/shared/exact-math.js';

function relative(actual: number, expected: number): number {
  return Math.abs(actual / expected - 1);
}

describe('exact math', () => {
  it('has the logarithm', () => {
    for (let x = 1e-18; x < 1e18; x *= 1.37) expect(relative(exactLog(x), Math.log(x))).toBeLessThan(1e-15);
    expect(exactLog(1)).toBe(0);
    for (const x of [0, -1, Infinity, NaN]) expect(() => exactLog(x)).toThrow(RangeError);
  });

  it('has the exponential', () => {
    for (let x = -699; x < 700; x += 0.37) expect(relative(exactExp(x), Math.exp(x))).toBeLessThan(1e-15);
    expect(exactExp(0)).toBe(1);
    for (const x of [-701, 701, NaN]) expect(() => exactExp(x)).toThrow(RangeError);
  });

  it('has powers', () => {
    for (const exponent of [0, 0.5, 0.7, 1, 2, -1.5])
      for (let base = 1; base <= 20; base++)
        expect(relative(exactPow(base, exponent), base ** exponent)).toBeLessThan(3e-15);
  });

  it('gives the same bits on every version of Node', () => {
    const bits = (x: number) => Buffer.from(Float64Array.of(x).buffer).toString('hex');
    expect([exactLog(0.1), exactLog(12_000), exactExp(-3.3), exactPow(11, 0.7)].map(bits)).toMatchInlineSnapshot(`
      [
        "1555b5bbb16b02c0",
        "6fe7fcfb0ac92240",
        "84be85bb59e2a23f",
        "ac85ca8c3d6e1540",
      ]
    `);
  });
});

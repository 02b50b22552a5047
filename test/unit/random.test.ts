import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Random, inverseNormal, permutation, random } from '@showtell/shared/random.js';

function sha256(values: Float32Array | Uint32Array): string {
  return createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex').slice(0, 16);
}

/** sfc32 as its author states it, in arbitrary precision. */
function* sfc32(words: readonly [number, number, number]): Generator<number> {
  const mod = (x: bigint) => BigInt.asUintN(32, x);
  let [a, b, c, counter] = [...words.map((w) => mod(BigInt(w))), 1n] as [bigint, bigint, bigint, bigint];
  for (let i = 0; ; i++) {
    const out = mod(a + b + counter);
    counter = mod(counter + 1n);
    a = b ^ (b >> 9n);
    b = mod(c + (c << 3n));
    c = mod(mod((c << 21n) | (c >> 11n)) + out);
    if (i >= 12) yield Number(out);
  }
}

describe('random', () => {
  it('is sfc32', () => {
    const words = [0x9e3779b9, -5, 0x7fffffff] as const;
    const stream = new Random(words);
    const reference = sfc32(words);
    for (let i = 0; i < 1000; i++) expect(stream.uint32()).toBe(reference.next().value);
  });

  it('gives the same bits on every version of Node', () => {
    const stream = (name: string) => random(20161, 'golden', name, 3);
    expect({
      uniform: sha256(stream('uniform').fillUniform(new Float32Array(50_000), -0.08, 0.08)),
      normal: sha256(stream('normal').fillNormal(new Float32Array(50_000), 1)),
      truncated: sha256(stream('truncated').fillTruncatedNormal(new Float32Array(50_000), 0.1)),
      permutation: sha256(permutation(50_000, stream('permutation'))),
    }).toMatchInlineSnapshot(`
      {
        "normal": "28623af646922059",
        "permutation": "a003af1107e0bc58",
        "truncated": "9ad0a165d81a1a04",
        "uniform": "367288f43be0f107",
      }
    `);
  });

  it('keeps paths apart', () => {
    const first = (...path: (string | number)[]) => random(1, ...path).uint32();
    const draws = [
      first('a', 'b'),
      first('ab'),
      first('a,b'),
      first('a', 1),
      first('a', '1'),
      first(),
      random(2).uint32(),
    ];
    expect(new Set(draws).size).toBe(draws.length);
    expect(first('a', 'b')).toBe(first('a', 'b'));
    expect(() => random(0.5, 'a')).toThrow(RangeError);
    expect(() => random(1, 2 ** 60)).toThrow(RangeError);
  });

  it('draws integers evenly, also where 2^32 is no multiple', () => {
    const stream = random(7, 'integers');
    const counts = new Float64Array(6);
    for (let i = 0; i < 60_000; i++) counts[stream.integer(6)]!++;
    const chiSquare = counts.reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0);
    expect(chiSquare).toBeLessThan(20.5); // 99.9 % of five degrees of freedom
    const big = 3 * 2 ** 30; // a plain remainder would draw the lowest third twice as often
    let low = 0;
    for (let i = 0; i < 30_000; i++) if (stream.integer(big) < big / 3) low++;
    expect(Math.abs(low - 10_000)).toBeLessThan(400);
    expect(() => stream.integer(0)).toThrow(RangeError);
  });

  it('shuffles every position alike', () => {
    const counts = new Float64Array(25);
    for (let seed = 0; seed < 20_000; seed++) permutation(5, random(seed)).forEach((x, i) => counts[i * 5 + x]!++);
    for (const n of counts) expect(Math.abs(n - 4000)).toBeLessThan(250);
  });

  it('has the moments of its distributions', () => {
    const moments = (values: Float32Array) => {
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      return { mean, std: Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length) };
    };
    const normal = moments(random(1, 'n').fillNormal(new Float32Array(400_000), 1));
    expect(normal.mean).toBeCloseTo(0, 2);
    expect(normal.std).toBeCloseTo(1, 2);
    const values = random(1, 't').fillTruncatedNormal(new Float32Array(400_000), 1);
    expect(moments(values).std).toBeCloseTo(0.8796, 2);
    expect(values.every((x) => x >= -2 && x <= 2)).toBe(true);
  });

  it('inverts the normal distribution function', () => {
    for (const [p, x] of [
      [0.5, 0],
      [0.975, 1.959963984540054],
      [0.025, -1.959963984540054],
      [1e-5, -4.264890793922825],
      [1e-12, -7.034483825301131],
      [1e-20, -9.262340089798408],
    ] as const)
      expect(Math.abs(inverseNormal(p) - x)).toBeLessThan(2e-15 * Math.max(1, Math.abs(x)));
  });
});

import { describe, expect, it } from 'vitest';
import { batchCaptions, drawDropout } from '@showtell/worker/input/batch.js';

const rules = { lengths: [4, 8], vocabulary: 10, unkId: 9 };
const ids = (...words: number[]): Int32Array => Int32Array.from(words);

describe('captions to a batch', () => {
  it('reads all words but the last, says all but the first, pads to the smallest length that holds them', () => {
    const { B, T, inputs, targets, mask } = batchCaptions([ids(1, 5, 6, 2), ids(1, 2), ids(1, 3, 4, 5, 2)], rules);
    expect([B, T]).toEqual([3, 4]);
    expect([...inputs]).toEqual([1, 5, 6, 0, 1, 0, 0, 0, 1, 3, 4, 5]);
    expect([...targets]).toEqual([5, 6, 2, 0, 2, 0, 0, 0, 3, 4, 5, 2]);
    expect([...mask]).toEqual([1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1]);
  });

  it('takes the next length for one word more, and cuts at the last', () => {
    expect(batchCaptions([ids(1, 3, 3, 3, 3, 2)], rules).T).toBe(8);
    const long = batchCaptions([Int32Array.from({ length: 500 }, (_, i) => i % 9)], rules);
    expect(long.T).toBe(8);
    expect([...long.mask]).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    expect([...long.targets]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('reads words the model does not know as unknown', () => {
    const { inputs, targets } = batchCaptions([ids(1, 10, 400, 2)], rules);
    expect([...inputs.subarray(0, 3)]).toEqual([1, 9, 9]);
    expect([...targets.subarray(0, 3)]).toEqual([9, 9, 2]);
  });
});

describe('dropout', () => {
  const shape = { embedding: 6, units: 5, features: 7, keep: 0.7, featureKeep: 0.8 };
  const E = shape.embedding;

  it('keeps the share asked for and scales it up', () => {
    const { inputs, features } = drawDropout(1, [0, 1, 2, 3], 12, { ...shape, embedding: 512, features: 2048 });
    const kept = inputs.reduce((n, factor) => n + (factor > 0 ? 1 : 0), 0) / inputs.length;
    expect(kept).toBeCloseTo(0.7, 1);
    expect(new Set(inputs)).toEqual(new Set([0, Math.fround(1 / 0.7)]));
    expect(new Set(features)).toEqual(new Set([0, Math.fround(1 / 0.8)]));
  });

  it('depends on seed and place alone: not on padding, neighbours or order', () => {
    const example = (factors: Float32Array, rows: number, B: number, b: number, width: number): number[][] =>
      Array.from({ length: rows }, (_, t) => [...factors.subarray((t * B + b) * width, (t * B + b + 1) * width)]);
    const all = drawDropout(7, [0, 1, 2], 8, shape);
    const some = drawDropout(7, [0, 2], 4, shape);
    expect(example(some.inputs, 5, 2, 1, E)).toEqual(example(all.inputs, 9, 3, 2, E).slice(0, 5));
    expect(example(some.outputs, 4, 2, 1, 5)).toEqual(example(all.outputs, 8, 3, 2, 5).slice(0, 4));
    expect(example(some.features, 1, 2, 1, 7)).toEqual(example(all.features, 1, 3, 2, 7));
    expect(example(all.inputs, 9, 3, 0, E)).not.toEqual(example(all.inputs, 9, 3, 1, E));
    expect(drawDropout(8, [0], 4, shape).inputs).not.toEqual(drawDropout(7, [0], 4, shape).inputs);
  });
});

import { describe, expect, it } from 'vitest';
import { captionPositions } from '@showtell/worker/model/caption-positions.js';

describe('positions of the words that count', () => {
  const mask = Float32Array.of(1, 1, 0, /**/ 1, 1, 1); // [2, 3]

  it('come first, time first, then padding up to a round number', () => {
    expect([...captionPositions(mask, 2, 3, 1)]).toEqual([0, 1, 2, 3, 5]);
    expect([...captionPositions(mask, 2, 3, 4)]).toEqual([0, 1, 2, 3, 5, 4]);
    expect([...captionPositions(mask, 2, 3, 64)]).toEqual([0, 1, 2, 3, 5, 4]);
  });

  it('are all different', () => {
    const sparse = Float32Array.from({ length: 8 * 16 }, (_, i) => (i % 16 < 5 ? 1 : 0));
    const positions = captionPositions(sparse, 8, 16, 32);
    expect(positions.length).toBe(64);
    expect(new Set(positions).size).toBe(64);
  });
});

import { describe, expect, it } from 'vitest';
import { captionPositions } from '@showtell/worker/model/caption-positions.js';
import { distinctWords } from '@showtell/worker/model/distinct-words.js';

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

describe('distinct words', () => {
  it('stand once, in order of first occurrence, and rows lead back to them', () => {
    const ids = Int32Array.of(7, 3, 7, 0, 3);
    const { words, count, rows } = distinctWords(ids);
    expect([...words]).toEqual([7, 3, 0, 0, 0]);
    expect(count).toBe(3);
    expect(Array.from(rows, (row) => words[row])).toEqual([...ids]);
  });
});

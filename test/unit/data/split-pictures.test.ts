import { describe, expect, it } from 'vitest';
import { splitPictures } from '@showtell/coordinator/data/split-pictures.js';

const numbers = (n: number, from = 0) => Array.from({ length: n }, (_, i) => from + i);

describe('dividing a set', () => {
  it('is im2txt’s with two annotation files: MSCOCO’s counts, and in order', () => {
    const { splits } = splitPictures(numbers(82_783), numbers(40_504, 100_000), { kind: 'auto' }, 1);
    // int(0.85 · 40504) = 34428, int(0.90 · 40504) = 36453
    expect([splits.train.length, splits.val.length, splits.test.length]).toEqual([82_783 + 34_428, 2_025, 4_051]);
    expect(splits.train.slice(82_782, 82_785)).toEqual([82_782, 100_000, 100_001]);
    expect([splits.val[0], splits.test[0]]).toEqual([134_428, 136_453]);
  });

  it('divides a single file by the same shares, shuffled by the seed', () => {
    const once = splitPictures(numbers(200), null, { kind: 'auto' }, 1).splits;
    expect([once.train.length, once.val.length, once.test.length]).toEqual([170, 10, 20]);
    expect([...once.train, ...once.val, ...once.test].sort((a, b) => a - b)).toEqual(numbers(200));
    expect(splitPictures(numbers(200), null, { kind: 'auto' }, 1).splits).toEqual(once);
    expect(splitPictures(numbers(200), null, { kind: 'auto' }, 2).splits.val).not.toEqual(once.val);
  });

  it('does not divide four pictures', () => {
    const { splits, rule } = splitPictures(numbers(4), null, { kind: 'auto' }, 1);
    expect(splits).toEqual({ train: numbers(4), val: numbers(4), test: numbers(4) });
    expect(rule).toEqual({ kind: 'reuse' });
  });

  it('takes shares as given, and refuses those that leave a part empty', () => {
    const shares = { kind: 'shares', train: 0.5, val: 0.5, test: 0 } as const;
    const { splits } = splitPictures(numbers(4), null, shares, 1);
    expect([splits.train.length, splits.val.length, splits.test.length]).toEqual([2, 2, 0]);
    const few = { kind: 'shares', train: 0.9, val: 0.05, test: 0.05 } as const;
    expect(() => splitPictures(numbers(4), null, few, 1)).toThrow(/of 4 pictures 0.9, 0.05, 0.05 leave none to val/);
  });
});

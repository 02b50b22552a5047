import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unsnappy } from '@showtell/coordinator/checkpoints/tensorflow/snappy.js';

const packed = (...parts: (readonly number[] | string)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));

describe('Snappy', () => {
  it.each([
    ['nothing', packed([0]), ''],
    ['a short literal', packed([4, 3 << 2], 'abcd'), 'abcd'],
    ['a literal whose length has a byte of its own', packed([70, 60 << 2, 69], 'x'.repeat(70)), 'x'.repeat(70)],
    ['a literal whose length has two', packed([0xac, 2, 61 << 2, 0x2b, 1], 'y'.repeat(300)), 'y'.repeat(300)],
    ['a copy with an offset of 11 bits', packed([9, 4 << 2], 'abcde', [1, 5]), 'abcdeabcd'],
    ['a copy with an offset of 16 bits', packed([7, 4 << 2], 'abcde', [(1 << 2) | 2, 5, 0]), 'abcdeab'],
    ['a copy with an offset of 32 bits', packed([7, 4 << 2], 'abcde', [(1 << 2) | 3, 4, 0, 0, 0]), 'abcdebc'],
    ['a run: a copy of what it writes itself', packed([10, 1 << 2], 'ab', [(7 << 2) | 2, 2, 0]), 'ababababab'],
  ])('unpacks %s', (_, from, to) => {
    expect(unsnappy(from).toString()).toBe(to);
  });

  it.each([
    ['a copy from before the beginning', packed([9, 4 << 2], 'abcde', [1, 6])],
    ['a copy from nowhere', packed([9, 4 << 2], 'abcde', [1, 0])],
    ['a literal beyond the end', packed([4, 4 << 2], 'abcd')],
    ['more than was announced', packed([3, 3 << 2], 'abcd')],
    ['less than was announced', packed([5, 3 << 2], 'abcd')],
    ['a length that no stream of its size holds', packed([0xff, 0xff, 0xff, 0x7f, 0])],
    ['no length', packed([0xff])],
    ['an element that is cut off', packed([9, 4 << 2], 'abcde', [2, 5])],
  ])('refuses %s', (_, from) => {
    expect(() => unsnappy(from)).toThrow(RangeError);
  });

  it('throws nothing but RangeError, whatever it gets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          unsnappy(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

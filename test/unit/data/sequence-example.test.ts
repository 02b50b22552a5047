import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeCaptionExample,
  decodeCaptionIds,
  encodeCaptionExample,
  type CaptionExample,
} from '@showtell/shared/data/sequence-example.js';
import { ShowtellError } from '@showtell/shared/errors.js';

const word = fc.string({ unit: 'grapheme', maxLength: 12 });
const pair: fc.Arbitrary<CaptionExample> = fc
  .record({
    imageId: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    jpeg: fc.uint8Array({ maxLength: 300 }),
    tokens: fc.array(fc.tuple(word, fc.integer({ min: 0, max: 0x7fffffff })), { maxLength: 40 }),
  })
  .map(({ imageId, jpeg, tokens }) => ({
    imageId,
    jpeg,
    words: tokens.map(([text]) => text),
    ids: Int32Array.from(tokens, ([, id]) => id),
  }));

describe('an image–caption pair', () => {
  it('comes back as it was written, whole or only its ids', () => {
    fc.assert(
      fc.property(pair, (example) => {
        const bytes = encodeCaptionExample(example);
        const read = decodeCaptionExample(bytes);
        expect({ ...read, jpeg: Uint8Array.from(read.jpeg) }).toEqual(example);
        expect(decodeCaptionIds(bytes)).toEqual({ imageId: example.imageId, ids: example.ids });
      }),
    );
  });

  it('never fails but by name, whatever the bytes', () => {
    const mutated = fc.tuple(pair, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }), fc.nat());
    fc.assert(
      fc.property(mutated, ([example, changes, cut]) => {
        const bytes = encodeCaptionExample(example);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        const hostile = bytes.subarray(0, bytes.length - (cut % 3 === 0 ? cut % bytes.length : 0));
        for (const decode of [decodeCaptionExample, decodeCaptionIds]) {
          try {
            decode(hostile, 'it');
          } catch (error) {
            expect(error).toBeInstanceOf(ShowtellError);
            expect(error).toMatchObject({ code: 'data/record-malformed' });
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses any truncation', () => {
    const example = { imageId: 5, jpeg: Buffer.from('jpeg'), words: ['<S>', '</S>'], ids: Int32Array.of(0, 1) };
    const bytes = encodeCaptionExample(example);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeCaptionExample(bytes.subarray(0, length))).toThrow(ShowtellError);
    }
  });

  it.each([
    ['words without ids', { words: ['a', 'b'], ids: Int32Array.of(1) }, /2 words but 1 ids/],
    ['a negative id', { words: ['a'], ids: Int32Array.of(-3) }, /-3 is no word id/],
  ])('refuses %s', (_, part, message) => {
    const bytes = encodeCaptionExample({ imageId: 1, jpeg: new Uint8Array(), ...part });
    expect(() => decodeCaptionExample(bytes, 'Record 3')).toThrow(message);
    expect(() => decodeCaptionExample(bytes, 'Record 3')).toThrow(/^Record 3 /);
  });

  it('hands out the JPEG without copying it', () => {
    const bytes = encodeCaptionExample({ imageId: 1, jpeg: Buffer.from('jpeg'), words: [], ids: new Int32Array() });
    expect(decodeCaptionExample(bytes).jpeg.buffer).toBe(bytes.buffer);
  });
});

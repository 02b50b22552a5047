import { readVarint } from './varint.js';

/** No sound stream unpacks to more than this many times its length: a copy of 64 bytes takes 3. */
export const largestRatio = 22;

/**
 * Unpacks a block of raw Snappy (google/snappy, format_description.txt): the length of what comes out, then runs of
 * literal bytes and copies of what came out before.
 * @throws RangeError when it is not one
 */
export function unsnappy(packed: Uint8Array): Buffer {
  const { value: length, next } = readVarint(packed, 0);
  if (length > packed.length * largestRatio) throw new RangeError(`${packed.length} bytes cannot hold ${length}`);
  const out = Buffer.alloc(length);
  let at = next;
  let end = 0;
  const little = (bytes: number): number => {
    if (at + bytes > packed.length) throw new RangeError('it ends within an element');
    let value = 0;
    for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (packed[at + i] as number);
    at += bytes;
    return value;
  };
  while (at < packed.length) {
    const tag = packed[at++] as number;
    if ((tag & 3) === 0) {
      const short = tag >>> 2;
      const size = (short < 60 ? short : little(short - 59)) + 1;
      if (at + size > packed.length || end + size > length) throw new RangeError('a literal goes beyond the end');
      out.set(packed.subarray(at, at + size), end);
      at += size;
      end += size;
      continue;
    }
    const size = (tag & 3) === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    const back = (tag & 3) === 1 ? (tag >>> 5) * 256 + little(1) : little((tag & 3) === 2 ? 2 : 4);
    if (back === 0 || back > end || end + size > length) throw new RangeError('a copy goes beyond what there is');
    // Byte by byte where the source runs into what is being written: that is how a run is repeated.
    if (back >= size) out.copyWithin(end, end - back, end - back + size);
    else for (let i = 0; i < size; i++) out[end + i] = out[end + i - back] as number;
    end += size;
  }
  if (end !== length) throw new RangeError(`${end} bytes come out instead of ${length}`);
  return out;
}

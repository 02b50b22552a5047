import type { StateChunk } from '@showtell/shared/generated/showtell/v1/shards.js';
import { chunkRanges } from '@showtell/shared/tensors/chunks.js';
import { segmentNames, type Segments } from '@showtell/shared/tensors/layout.js';

/** Values of a part as they travel between coordinator and shard: the parameters, then what the optimizer keeps. */
export function* segmentChunks(slots: readonly Segments[]): Generator<StateChunk> {
  for (const [slot, segments] of slots.entries())
    for (const segment of segmentNames)
      for (const { element, elements } of chunkRanges(segments[segment].length, 4)) {
        const { buffer, byteOffset } = segments[segment];
        yield { slot, segment, element, body: Buffer.from(buffer, byteOffset + element * 4, elements * 4) };
      }
}

/**
 * Puts a chunk in its place.
 * @returns how many values it holds
 * @throws RangeError when it has no place there
 */
export function placeChunk({ slot, segment, element, body }: StateChunk, slots: readonly Segments[]): number {
  const name = segmentNames.find((each) => each === segment);
  const target = name === undefined ? undefined : slots[slot]?.[name];
  if (target === undefined || body.length % 4 !== 0 || element + body.length / 4 > target.length)
    throw new RangeError(`${body.length} bytes of segment ${segment} at ${element} have no place in this part`);
  new Uint8Array(target.buffer, target.byteOffset + element * 4, body.length).set(body);
  return body.length / 4;
}

/** Values in all slots of a part. */
export function valuesIn(slots: readonly Segments[]): number {
  return slots.flatMap((each) => Object.values(each)).reduce((sum, { length }) => sum + length, 0);
}

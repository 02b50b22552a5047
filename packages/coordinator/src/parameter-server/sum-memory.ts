import { blocksOf, type ParameterLayout, type SegmentName } from '@showtell/shared/tensors/layout.js';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';

/** Memory for sums and for bodies that came in chunks: taken and given back all the time, allocated a few times. */
export class SumMemory {
  /** First element of each segment in a sum, which holds all segments one after the other. */
  readonly offsets: Readonly<Record<SegmentName, number>>;
  /** First byte, in a sum, of its marks: a byte for each block. */
  readonly marksOffset: number;
  readonly #bytes: number;
  readonly #most: number;
  readonly #free: SharedArrayBuffer[] = [];

  /** @param most of them are kept for the next time */
  constructor(layout: ParameterLayout, most: number) {
    this.#most = most;
    const { decoder, embedding, encoder, statistics } = layout.elements;
    this.offsets = {
      decoder: 0,
      embedding: decoder,
      encoder: decoder + embedding,
      statistics: decoder + embedding + encoder,
    };
    // A body of the same segments aligns each to 64 bytes, which a segment's elements are anyway.
    this.marksOffset = (decoder + embedding + encoder + statistics) * 4;
    this.#bytes = this.marksOffset + blocksOf(layout).length;
  }

  /** @param bytes what a body takes; a sum's own size by default */
  take(bytes = this.#bytes): SharedArrayBuffer {
    const fitting = this.#free.findIndex((memory) => memory.byteLength >= bytes);
    if (fitting < 0) return allocateShared(Math.max(bytes, this.#bytes));
    const [memory] = this.#free.splice(fitting, 1);
    return memory as SharedArrayBuffer;
  }

  give(...memories: readonly SharedArrayBuffer[]): void {
    this.#free.push(...memories);
    // After many came at once.
    this.#free.splice(this.#most);
  }
}

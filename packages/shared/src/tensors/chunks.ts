/** Largest body of a message that carries tensor bytes; grpc-js refuses messages over 4 MiB. */
export const chunkBytes = 1_048_576;

/** A run of elements that travels in one message. */
export interface ChunkRange {
  /** First element. */
  readonly element: number;
  readonly elements: number;
}

/** Cuts `elements` of `elementBytes` each into ranges of at most {@link chunkBytes}. */
export function* chunkRanges(elements: number, elementBytes: number): Generator<ChunkRange> {
  const most = Math.floor(chunkBytes / elementBytes);
  for (let element = 0; element < elements; element += most)
    yield { element, elements: Math.min(most, elements - element) };
}

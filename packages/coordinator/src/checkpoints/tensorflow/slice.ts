import type { TensorShapeProto, TensorSliceProto } from '@showtell/shared/generated/tensorflow/types.js';
import { sizeOf } from '@showtell/shared/tensors/layout.js';

/** A box of a tensor: what it covers of each dimension. */
export interface Slice {
  /** As the file states it, with −1 for a length that is the whole dimension's: the slice's key is made of it. */
  readonly stated: readonly { readonly start: number; readonly length: number }[];
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
}

/** Pieces of one tensor; far beyond what any partitioner makes. */
const mostSlices = 1024;

/** TensorFlow's own limit (TensorShape::MaxDimensions). */
const mostDimensions = 254;

/** @throws RangeError when a dimension is unknown or beyond what a tensor can have */
export function readShape(proto: TensorShapeProto | undefined): readonly number[] {
  const shape = (proto?.dim ?? []).map(({ size }) => size);
  if (shape.length > mostDimensions) throw new RangeError(`a tensor has ${shape.length} dimensions`);
  if (proto?.unknownRank === true || shape.some((size) => size < 0) || !Number.isSafeInteger(sizeOf(shape)))
    throw new RangeError(`a tensor has the shape [${shape.join(', ')}]`);
  return shape;
}

/** @throws RangeError when the slice does not lie in a tensor of that shape */
export function readSlice({ extent }: TensorSliceProto, shape: readonly number[]): Slice {
  if (extent.length !== shape.length)
    throw new RangeError(`a slice has ${extent.length} dimensions, its tensor ${shape.length}`);
  const stated = extent.map(({ start, hasLength }) => ({ start, length: hasLength?.value ?? -1 }));
  const lengths = stated.map(({ length }, i) => (length === -1 ? (shape[i] as number) : length));
  const starts = stated.map(({ start }) => start);
  for (const [i, size] of shape.entries()) {
    const [start = 0, length = 0] = [starts[i], lengths[i]];
    if (start < 0 || length < 0 || start + length > size)
      throw new RangeError(`a slice covers ${length} from ${start} on of a dimension of ${size}`);
  }
  return { stated, starts, lengths };
}

/** @throws RangeError unless every element of the tensor lies in exactly one of the slices */
export function checkCover(slices: readonly Slice[], shape: readonly number[]): void {
  if (slices.length > mostSlices) throw new RangeError(`a tensor lies in ${slices.length} slices`);
  const covered = slices.reduce((sum, { lengths }) => sum + sizeOf(lengths), 0);
  if (covered !== sizeOf(shape)) throw new RangeError(`slices hold ${covered} values of a tensor's ${sizeOf(shape)}`);
  for (const [i, a] of slices.entries())
    for (const b of slices.slice(i + 1)) {
      const overlaps = shape.every((_, d) => begin(a, d) < end(b, d) && begin(b, d) < end(a, d));
      if (overlaps) throw new RangeError('two slices of a tensor overlap');
    }
}

const begin = (slice: Slice, dimension: number): number => slice.starts[dimension] as number;
const end = (slice: Slice, dimension: number): number => begin(slice, dimension) + (slice.lengths[dimension] as number);

/** Copies a slice's values, row-major, to their place in the whole tensor. */
export function placeSlice(values: Float32Array, slice: Slice, shape: readonly number[], into: Float32Array): void {
  if (values.length === 0) return;
  const rank = shape.length;
  // Trailing dimensions that the slice covers wholly lie in one run, and so does its part of the one before them.
  let run = 1;
  let outer = rank;
  while (outer > 0) {
    outer--;
    run *= slice.lengths[outer] as number;
    if (slice.lengths[outer] !== shape[outer]) break;
  }
  const strides = shape.map((_, i) => sizeOf(shape.slice(i + 1)));
  const at = (indices: readonly number[]): number =>
    slice.starts.reduce((sum, start, i) => sum + (start + (indices[i] ?? 0)) * (strides[i] as number), 0);
  const counter = new Array<number>(outer).fill(0);
  for (let from = 0; from < values.length; from += run) {
    into.set(values.subarray(from, from + run), at(counter));
    for (let d = outer - 1; d >= 0; d--) {
      counter[d] = (counter[d] as number) + 1;
      if ((counter[d] as number) < (slice.lengths[d] as number)) break;
      counter[d] = 0;
    }
  }
}

import { allocateShared } from './shared-memory.js';

/**
 * How a model's parameters lie in memory and on the wire: four segments, each one flat float32 array.
 *
 * A segment is what may change or stand still as a whole (`encoder` in the decoder-only phase), or what the wire treats
 * in its own way (`embedding` as rows). Within a segment the tensors stand in name order, each beginning at a multiple
 * of 16 elements (64 bytes), the gaps zero. Every tensor is cut into blocks of at most {@link blockElements} elements:
 * norms are summed a block at a time, and parameter-server threads and shards own whole blocks, so that neither their
 * number nor their order reaches the result.
 */
export const segmentNames = ['decoder', 'embedding', 'encoder', 'statistics'] as const;
export type SegmentName = (typeof segmentNames)[number];

/** Elements in a block; the last of a tensor may be shorter. */
export const blockElements = 65_536;

const alignment = 16;

/** What the layout needs to know of a parameter. */
export interface LaidOutParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly group: SegmentName;
}

export interface LayoutEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly segment: SegmentName;
  /** First element within the segment. */
  readonly offset: number;
  /** Elements. */
  readonly size: number;
}

export interface Block {
  readonly entry: LayoutEntry;
  readonly segment: SegmentName;
  /** First element within the segment. */
  readonly offset: number;
  readonly size: number;
}

export interface ParameterLayout {
  /** By segment, then by name. */
  readonly entries: readonly LayoutEntry[];
  /** Elements of each segment, gaps counted. */
  readonly elements: Readonly<Record<SegmentName, number>>;
  readonly entry: (name: string) => LayoutEntry;
}

/** A value of every segment, such as the parameters of one version. */
export type Segments = Record<SegmentName, Float32Array>;

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** Compares names by code unit, as the checkpoint's hash does: no locale enters it. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

export function layOut(parameters: readonly LaidOutParameter[]): ParameterLayout {
  const entries: LayoutEntry[] = [];
  const elements: Record<SegmentName, number> = { decoder: 0, embedding: 0, encoder: 0, statistics: 0 };
  for (const segment of segmentNames) {
    for (const { name, shape } of parameters.filter((parameter) => parameter.group === segment).sort(byName)) {
      const size = sizeOf(shape);
      entries.push({ name, shape, segment, offset: elements[segment], size });
      elements[segment] += Math.ceil(size / alignment) * alignment;
    }
  }
  const index = new Map(entries.map((entry) => [entry.name, entry]));
  return {
    entries,
    elements,
    entry: (name) => {
      const found = index.get(name);
      if (found === undefined) throw new RangeError(`no parameter named ${name}`);
      return found;
    },
  };
}

/** The blocks of a layout's tensors in layout order, of the named segments only. */
export function blocksOf(layout: ParameterLayout, segments: readonly SegmentName[] = segmentNames): Block[] {
  const blocks: Block[] = [];
  for (const entry of layout.entries) {
    if (!segments.includes(entry.segment)) continue;
    for (let start = 0; start < entry.size; start += blockElements) {
      const size = Math.min(blockElements, entry.size - start);
      blocks.push({ entry, segment: entry.segment, offset: entry.offset + start, size });
    }
  }
  return blocks;
}

/** Zeroed segments over shared memory, so that threads of one process see the same values. */
export function allocateSegments(layout: ParameterLayout): Segments {
  const allocate = (segment: SegmentName): Float32Array =>
    new Float32Array(
      allocateShared(layout.elements[segment] * Float32Array.BYTES_PER_ELEMENT),
      0,
      layout.elements[segment],
    );
  return {
    decoder: allocate('decoder'),
    embedding: allocate('embedding'),
    encoder: allocate('encoder'),
    statistics: allocate('statistics'),
  };
}

/** The view of one tensor within its segment. */
export function tensorView(segments: Segments, entry: LayoutEntry): Float32Array {
  return segments[entry.segment].subarray(entry.offset, entry.offset + entry.size);
}

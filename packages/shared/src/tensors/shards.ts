import {
  blocksOf,
  type LayoutEntry,
  type ParameterLayout,
  type SegmentName,
  segmentNames,
  type Segments,
} from './layout.js';

/** What one shard of the parameter server holds: a run of whole blocks of each segment. */
export interface ShardPart {
  /** Of the part alone: the pieces of tensors that lie in it, under the tensors' names and shapes. */
  readonly layout: ParameterLayout;
  /** Where each of its segments begins within the whole one, in elements. */
  readonly from: Readonly<Record<SegmentName, number>>;
  /** The position of each of its blocks among those of the whole layout. */
  readonly blocks: readonly number[];
}

/**
 * Divides every segment between shards, by bytes, at the boundaries of blocks: so each has its share of the work in every
 * phase. One that is too small leaves some shards without.
 */
export function divideLayout(layout: ParameterLayout, shards: number): ShardPart[] {
  const cuts = Object.fromEntries(segmentNames.map((segment) => [segment, cutsOf(layout, segment, shards)])) as Record<
    SegmentName,
    number[]
  >;
  const all = blocksOf(layout);
  return Array.from({ length: shards }, (_, shard) => {
    const range = (segment: SegmentName): [number, number] => [
      cuts[segment][shard] ?? 0,
      cuts[segment][shard + 1] ?? 0,
    ];
    const blocks = [...all.keys()].filter((id) => {
      const { segment = 'decoder', offset = 0 } = all[id] ?? {};
      const [from, to] = range(segment);
      return offset >= from && offset < to;
    });
    return { layout: layoutWithin(layout, range), from: firstOf(range), blocks };
  });
}

/** Views of the part's values within whole segments. */
export function partOf(segments: Segments, { from, layout }: ShardPart): Segments {
  const view = (segment: SegmentName): Float32Array =>
    segments[segment].subarray(from[segment], from[segment] + layout.elements[segment]);
  return {
    decoder: view('decoder'),
    embedding: view('embedding'),
    encoder: view('encoder'),
    statistics: view('statistics'),
  };
}

/** Where each shard's part of a segment begins, and behind the last one the segment's end. */
function cutsOf(layout: ParameterLayout, segment: SegmentName, shards: number): number[] {
  const end = layout.elements[segment];
  const starts = [...blocksOf(layout, [segment]).map(({ offset }) => offset), end];
  const nearest = (place: number): number =>
    starts.reduce((best, start) => (Math.abs(start - place) < Math.abs(best - place) ? start : best), 0);
  return Array.from({ length: shards + 1 }, (_, i) => (i === shards ? end : nearest((end * i) / shards)));
}

type Range = (segment: SegmentName) => readonly [number, number];

function firstOf(range: Range): Record<SegmentName, number> {
  const first = (segment: SegmentName): number => range(segment)[0];
  return {
    decoder: first('decoder'),
    embedding: first('embedding'),
    encoder: first('encoder'),
    statistics: first('statistics'),
  };
}

function layoutWithin(layout: ParameterLayout, range: Range): ParameterLayout {
  const entries = layout.entries.flatMap(({ name, shape, segment, offset, size }): LayoutEntry[] => {
    const [from, to] = range(segment);
    const [start, end] = [Math.max(from, offset), Math.min(to, offset + size)];
    return start >= end ? [] : [{ name, shape, segment, offset: start - from, size: end - start }];
  });
  const length = (segment: SegmentName): number => range(segment)[1] - range(segment)[0];
  return {
    entries,
    elements: {
      decoder: length('decoder'),
      embedding: length('embedding'),
      encoder: length('encoder'),
      statistics: length('statistics'),
    },
    entry: (name) => {
      const found = entries.find((entry) => entry.name === name);
      if (found === undefined) throw new RangeError(`no piece of ${name} lies here`);
      return found;
    },
  };
}

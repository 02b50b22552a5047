import { WireType } from '../generated/showtell/v1/parameters.js';
import { type ParameterLayout, type SegmentName, segmentNames } from './layout.js';

/** Elements of a wire type: 4 or 2 bytes. */
export type WireDtype = 'float32' | 'bfloat16';

export function wireTypeOf(dtype: WireDtype): WireType {
  return dtype === 'float32' ? WireType.WIRE_TYPE_FLOAT32 : WireType.WIRE_TYPE_BFLOAT16;
}

/** The type a segment travels as: batch statistics and moving averages are float32 always, a decay of 0.9997 vanishes in bfloat16. */
export function dtypeOf(segment: SegmentName, wire: WireDtype): WireDtype {
  return segment === 'statistics' ? 'float32' : wire;
}

export function bytesOf(dtype: WireDtype): 2 | 4 {
  return dtype === 'float32' ? 4 : 2;
}

/** Where one segment, or the embedding's rows, stand in a body. */
export interface BodyPart {
  readonly segment: SegmentName;
  readonly dtype: WireDtype;
  /** First byte within the body, a multiple of 64. */
  readonly offset: number;
  readonly elements: number;
}

/**
 * How one unit's gradient lies in a slot of shared memory, and in the server's buffer when it comes in chunks: the dense
 * segments of the header in its order, then the embedding's rows, each aligned to 64 bytes.
 */
export interface GradientBody {
  readonly parts: readonly BodyPart[];
  /** Rows of the embedding, in the order of the header's `embedding_rows`; null when it is dense or absent. */
  readonly rows: (BodyPart & { readonly width: number }) | null;
  /** To the end of the last part. */
  readonly bytes: number;
}

const align = (bytes: number): number => Math.ceil(bytes / 64) * 64;

export function isSegmentName(name: string): name is SegmentName {
  return (segmentNames as readonly string[]).includes(name);
}

/** Elements in a row of the embedding, or 0 in a layout without one. */
export function embeddingWidth(layout: ParameterLayout): number {
  return layout.entries.find((entry) => entry.segment === 'embedding')?.shape[1] ?? 0;
}

export function gradientBody(
  layout: ParameterLayout,
  segments: readonly SegmentName[],
  embeddingRows: number,
  wire: WireDtype,
): GradientBody {
  let bytes = 0;
  const place = (segment: SegmentName, elements: number): BodyPart => {
    const dtype = dtypeOf(segment, wire);
    const offset = align(bytes);
    bytes = offset + elements * bytesOf(dtype);
    return { segment, dtype, offset, elements };
  };
  const parts = segments.map((segment) => place(segment, layout.elements[segment]));
  const width = embeddingWidth(layout);
  const rows = embeddingRows > 0 ? { ...place('embedding', embeddingRows * width), width } : null;
  return { parts, rows, bytes };
}

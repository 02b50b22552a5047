import type { BodyPart, WireDtype } from '@showtell/shared/tensors/gradient-body.js';
import type { SegmentName } from '@showtell/shared/tensors/layout.js';
import type { UpdateRule } from './optimizer.js';

/** A block as the thread that owns it knows it. */
export interface OwnedBlock {
  /** Position among all blocks of the layout; where its sum of squares goes. */
  readonly id: number;
  readonly tensor: string;
  readonly segment: SegmentName;
  /** First element within the segment. */
  readonly offset: number;
  /** First element within the whole segment, of which a shard holds a part: what row numbers count from. */
  readonly place: number;
  readonly size: number;
  /** Whether weight decay applies. */
  readonly decays: boolean;
}

/** What a thread is started with. */
export interface BlockSetup {
  readonly blocks: readonly OwnedBlock[];
  /** First element of each segment in a sum, which holds all segments one after the other. */
  readonly sumOffsets: Readonly<Record<SegmentName, number>>;
  /** First byte, in a sum, of its marks: a byte for each block of the layout, 1 when the block is +0 and not written. */
  readonly marksOffset: number;
  readonly wire: WireDtype;
  /** A float64 for each block of the layout. */
  readonly squares: SharedArrayBuffer;
  /** Files of each segment's ring in shared memory; null without it. */
  readonly rings: Readonly<Record<SegmentName, readonly string[]>> | null;
}

/** Where the gradient of a unit lies. */
export type LeafSource =
  /** No example counted: zeros. */
  | { readonly kind: 'zero' }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly parts: readonly BodyPart[];
      readonly rows: LeafRows | null;
    }
  | {
      readonly kind: 'memory';
      readonly memory: SharedArrayBuffer;
      readonly parts: readonly BodyPart[];
      readonly rows: LeafRows | null;
    };

export interface LeafRows extends BodyPart {
  readonly width: number;
  /** uint32 row numbers, ascending. */
  readonly numbers: Uint32Array;
}

/** out ← weight · leaf + each of the siblings, checked for being finite; with `average` made into the step's gradient. */
export interface SumJob {
  readonly kind: 'sum';
  readonly segments: readonly SegmentName[];
  readonly leaf: LeafSource;
  readonly weight: number;
  readonly siblings: readonly SharedArrayBuffer[];
  readonly out: SharedArrayBuffer;
  readonly average: {
    readonly weight: number;
    readonly l2: number;
    readonly parameters: Readonly<Record<SegmentName, SharedArrayBuffer>>;
  } | null;
}

/** next ← optimizer(current, scale · gradient); written to the rings as well. */
export interface UpdateJob {
  readonly kind: 'update';
  readonly segments: readonly SegmentName[];
  readonly gradient: SharedArrayBuffer;
  readonly scale: number;
  readonly rule: UpdateRule;
  /** Of the moving averages. */
  readonly decay: number;
  readonly current: Readonly<Record<SegmentName, SharedArrayBuffer>>;
  readonly next: Readonly<Record<SegmentName, SharedArrayBuffer>>;
  /** What the optimizer keeps, slot by slot. */
  readonly slots: readonly Readonly<Record<SegmentName, SharedArrayBuffer>>[];
  readonly nextSlots: readonly Readonly<Record<SegmentName, SharedArrayBuffer>>[];
  /** Which file of each segment's ring is written. */
  readonly ring: Readonly<Partial<Record<SegmentName, number>>> | null;
}

/** Writes segments to the rings as they are. */
export interface PublishJob {
  readonly kind: 'publish';
  readonly segments: readonly SegmentName[];
  readonly parameters: Readonly<Record<SegmentName, SharedArrayBuffer>>;
  readonly ring: Readonly<Partial<Record<SegmentName, number>>>;
}

export type BlockJob = SumJob | UpdateJob | PublishJob;

export type BlockAnswer =
  | { readonly kind: 'done' }
  /** A value of the leaf is not finite. */
  | { readonly kind: 'not-finite'; readonly tensor: string }
  /** The leaf's file is not there any more: its worker took it away. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string | null };

import type { PhaseName } from '@showtell/shared/job/phases.js';
import type { SegmentName } from '@showtell/shared/tensors/layout.js';
import type { OpenSession } from '../security/call-guard.js';
import type { LeafSource } from './block-jobs.js';
import type { BetaPowers } from './optimizer.js';
import type { ParameterState } from './versions.js';

/** Which file of each segment's ring in shared memory is written. */
export type RingFiles = Readonly<Partial<Record<SegmentName, number>>>;

/** Names a version of one generation. */
export interface VersionRef {
  readonly step: number;
  readonly lineage: number;
}

/** One unit's gradient, to be added to the step's sum. */
export interface AddRequest {
  /** Of the unit; asynchronous: it may be another than the version's. */
  readonly step: number;
  readonly index: number;
  readonly worker: string;
  readonly attempt: number;
  readonly phase: PhaseName;
  /** Its weight; 0: nothing was sent. */
  readonly examples: number;
  /** Where its values are; null: where the worker left them at the shard. */
  readonly leaf: LeafSource | null;
  /** With this unit the step's sum is whole: what it is divided by, and the weight decay that is added. */
  readonly average: { readonly weight: number; readonly l2: number } | null;
  /** Whether the unit that was added before counts: another shard may have found it not finite. */
  readonly keepBefore: boolean;
}

export type AddAnswer =
  /** It counts once the next request keeps it. `squares`: of a whole step, each of the shard's blocks' sum of squares. */
  | { readonly kind: 'added'; readonly squares: Float64Array | null }
  | { readonly kind: 'not-finite'; readonly tensor: string }
  /** The worker left nothing there. */
  | { readonly kind: 'missing' };

/** The next version of the step's sum. */
export interface UpdateRequest {
  /** None: a step without examples, which changes nothing. */
  readonly segments: readonly SegmentName[];
  /** What the gradient is multiplied by, to be clipped. */
  readonly scale: number;
  readonly learningRate: number;
  readonly keepBefore: boolean;
  readonly ring: RingFiles;
  /** Versions that are held besides the one that was current and the one that will be. */
  readonly held: readonly VersionRef[];
}

/**
 * A part of the parameters and the arithmetic on it: here, or in a process of its own. Which unit counts, which version
 * comes and by how much a gradient is clipped is the parameter server's to say, and it asks one thing at a time.
 */
export interface ParameterShard extends AsyncDisposable {
  /** Where workers exchange bodies with it on one host; null: by gRPC alone. */
  readonly sharedMemory: { readonly directory: string; readonly nonce: string } | null;
  /** host:port where workers reach it; null: at the coordinator itself. */
  readonly address: string | null;
  add(request: AddRequest): Promise<AddAnswer>;
  update(request: UpdateRequest): Promise<void>;
  /** Goes back to other values. */
  replace(state: ParameterState, ring: RingFiles): Promise<void>;
  /** Copies a version that is held into the views of `into`. @returns Adam's powers */
  read(version: VersionRef, into: Pick<ParameterState, 'parameters'> & StateViews): Promise<BetaPowers | null>;
  /** Who may read and leave something where workers reach it: those in session alone. */
  setSessions(open: readonly OpenSession[]): Promise<void>;
  forgetWorker(worker: string): Promise<void>;
}

/** Memory for what an optimizer keeps of the part, slot by slot. */
export interface StateViews {
  readonly slots: readonly ParameterState['parameters'][];
}

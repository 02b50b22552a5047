import type { GradientChunk, GradientHeader, Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { type PhaseName, trainedSegments } from '@showtell/shared/job/phases.js';
import { traced, type TraceSpan } from '@showtell/shared/service/tracing.js';
import {
  allocateSegments,
  blocksOf,
  type ParameterLayout,
  type SegmentName,
  segmentNames,
  type Segments,
} from '@showtell/shared/tensors/layout.js';
import { divideLayout, partOf, type ShardPart } from '@showtell/shared/tensors/shards.js';
import type { OpenSession } from '../security/call-guard.js';
import { StepTraces } from '../step-traces.js';
import { clipScale, globalNorm } from './clip.js';
import { GradientIntake } from './gradient-intake.js';
import type { CountedUnit } from './gradient-round.js';
import { type OptimizerState, slotKinds } from './optimizer.js';
import type { ParameterShard, RingFiles, VersionRef } from './parameter-shard.js';
import { Publication } from './publication.js';
import { SerialQueue } from './serial-queue.js';
import { Shard, type ShardOptions } from './shard.js';
import type { PushVerdict } from './verdict.js';
import type { ParameterState, PinnedVersion } from './versions.js';

/** Opens one of several shards that are processes of their own. */
export type OpenShard = (
  options: Pick<ShardOptions, 'part' | 'job' | 'run' | 'generation' | 'state' | 'ring'> & {
    readonly shard: number;
    readonly shards: number;
  },
) => Promise<ParameterShard>;

export interface ParameterServerOptions {
  readonly layout: ParameterLayout;
  /** Which parameters weight decay applies to. */
  readonly specs: readonly { readonly name: string; readonly l2: boolean }[];
  readonly job: Job;
  readonly state: ParameterState;
  readonly run: string;
  /** Fencing token; gradients of another one are stale. */
  readonly generation: number;
  readonly threads: number;
  /** Folder for exchange on one host, such as /dev/shm; null: by gRPC alone. */
  readonly sharedMemory?: string | null;
  readonly onNotice?: (text: string) => void;
  readonly traces?: StepTraces;
  /** The parameters lie in so many processes; by default in this one. */
  readonly divided?: { readonly shards: number; readonly open: OpenShard } | null;
}

export interface StepRequest {
  readonly step: number;
  readonly phase: PhaseName;
  readonly learningRate: number;
  /** What version step + 1 is announced with; null when a decision is due at it. By default `phase`. */
  readonly nextPhase?: PhaseName | null;
}

export interface StepResult {
  readonly step: number;
  /** Mean loss per word before the update, without L2. */
  readonly loss: number;
  readonly tokens: number;
  readonly examples: number;
  /** Before clipping, L2 included. */
  readonly gradientNorm: number;
  readonly clipScale: number;
  /** Asynchronous mode: units before the last applied one that are not. */
  readonly missing: readonly number[];
  /** In unit order. */
  readonly accepted: readonly CountedUnit[];
  readonly seconds: { readonly wait: number; readonly sum: number; readonly update: number; readonly publish: number };
}

/** A version's values, and what the optimizer keeps; null for one without state. */
export interface VersionValues {
  readonly parameters: Segments;
  readonly optimizer: OptimizerState | null;
}

/** A version that stays whole until it is released. */
export interface ServedVersion extends VersionRef {
  /** Views of it where it lies in this process, else a copy. */
  read(): Promise<VersionValues>;
  release(): void;
}

/**
 * The parameters and their updates: verdict → sum → clip → optimizer → next version. A version is a function of the
 * one before and the step's units, whatever order, worker, transport or number of threads and shards they came by.
 */
export class ParameterServer implements AsyncDisposable {
  readonly #options: ParameterServerOptions;
  readonly #parts: readonly ShardPart[];
  readonly #shards: readonly ParameterShard[];
  readonly #own: Shard | null;
  /** Of each block of the step's gradient, once its units are in. */
  readonly #squares: Float64Array;
  /** Of each block. */
  readonly #segments: readonly SegmentName[];
  readonly #intake: GradientIntake;
  readonly #publication: Publication;
  /** Shards are asked one thing at a time. */
  readonly #queue = new SerialQueue('the parameter server');
  readonly #traces: StepTraces;
  readonly #pinned = new Set<VersionRef>();
  #closed = false;

  private constructor(
    options: ParameterServerOptions,
    parts: readonly ShardPart[],
    { shards, own }: { readonly shards: readonly ParameterShard[]; readonly own: Shard | null },
  ) {
    const { layout, job, run, generation, state } = options;
    this.#options = options;
    this.#traces = options.traces ?? new StepTraces();
    this.#parts = parts;
    this.#shards = shards;
    this.#own = own;
    this.#segments = blocksOf(layout).map(({ segment }) => segment);
    this.#squares = new Float64Array(this.#segments.length);
    const isShared = shards.some(({ sharedMemory }) => sharedMemory !== null);
    this.#publication = new Publication(layout, generation, isShared, state);
    this.#intake = new GradientIntake({
      ...{ layout, job, run, generation, shards, parts, own, missing: state.missing ?? [] },
      publication: this.#publication,
      squares: this.#squares,
      queue: this.#queue,
    });
  }

  /** Starts threads or opens shards, and gives them the state's values. @throws ShowtellError `parameters/shard-lost` */
  static async open(options: ParameterServerOptions): Promise<ParameterServer> {
    const { layout, specs, job, state, run, generation, threads, sharedMemory = '/dev/shm', divided = null } = options;
    const parts = divideLayout(layout, divided?.shards ?? 1);
    const ring: RingFiles = Object.fromEntries(segmentNames.map((segment) => [segment, 0]));
    const common = parts.map((part) => ({ part, job, run, generation, state: stateOf(state, part), ring }));
    const [only] = common;
    if (divided === null && only !== undefined) {
      const onNotice = options.onNotice ?? (() => undefined);
      const own = await Shard.open({ ...only, specs, threads, sharedMemory, onNotice });
      return new ParameterServer(options, parts, { shards: [own], own });
    }
    const opened = await Promise.allSettled(
      common.map((each, shard) =>
        (divided as NonNullable<typeof divided>).open({ ...each, shard, shards: parts.length }),
      ),
    );
    const shards = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = opened.find((each) => each.status === 'rejected');
    if (failed !== undefined) {
      for (const shard of shards) await shard[Symbol.asyncDispose]();
      throw failed.reason;
    }
    return new ParameterServer(options, parts, { shards, own: null });
  }

  /** What sessions are told of the current version. */
  get version(): Version {
    return this.#publication.version;
  }

  get layout(): ParameterLayout {
    return this.#options.layout;
  }

  get wire(): Job['wire']['dtype'] {
    return this.#options.job.wire.dtype;
  }

  /** Folder and nonce for a session's Welcome; null without shared memory, and where the parameters are divided. */
  get sharedMemory(): { readonly directory: string; readonly nonce: string } | null {
    return this.#own?.sharedMemory ?? null;
  }

  /** Whether a worker on this host may exchange through shared memory. */
  get isShared(): boolean {
    return this.#shards.some(({ sharedMemory }) => sharedMemory !== null);
  }

  /** For a session's Welcome: where the parts are; none where all of it is here. */
  get shards(): { address: string; sharedMemory: string; sharedMemoryNonce: string }[] {
    return this.#shards.flatMap(({ address, sharedMemory }) =>
      address === null
        ? []
        : [{ address, sharedMemory: sharedMemory?.directory ?? '', sharedMemoryNonce: sharedMemory?.nonce ?? '' }],
    );
  }

  /** Calls back with each version from now on, and again when its phase is decided. @returns how to stop it */
  onVersion(listener: (version: Version) => void): () => void {
    return this.#publication.onVersion(listener);
  }

  /**
   * Decides the phase of a version that was announced without one.
   * @throws ShowtellError `parameters/out-of-order` when units of another phase are counted already: announce a version
   * at which a decision is due with `nextPhase: null`
   */
  setPhase(phase: PhaseName): void {
    if (this.#intake.counted.size > 0)
      throw new ShowtellError('parameters/out-of-order', {
        detail: `phase ${phase} for step ${this.#publication.step}, of which units are counted`,
      });
    this.#publication.phase = phase;
    this.#publication.announce();
  }

  /** The current version, held until it is released: saving and evaluating block nothing. */
  pin(): ServedVersion {
    const { step, lineage } = this.#publication;
    if (this.#own !== null) {
      const { parameters, optimizer, release } = this.#own.pin({ step, lineage });
      return { step, lineage, read: () => Promise.resolve({ parameters, optimizer }), release };
    }
    const pinned: VersionRef = { step, lineage };
    this.#pinned.add(pinned);
    return { step, lineage, read: () => this.#read(pinned), release: () => void this.#pinned.delete(pinned) };
  }

  /**
   * A version that is held in this process, for who reads it by gRPC.
   * @throws ShowtellError `parameters/version-gone`, also where the parameters lie with shards
   */
  pinVersion({ generation, lineage, step }: VersionRef & { readonly generation: number }): PinnedVersion {
    if (this.#own === null || generation !== this.#options.generation)
      throw new ShowtellError('parameters/version-gone', { step, lineage, generation });
    return this.#own.pin({ step, lineage });
  }

  /** Gathers a version from the shards. */
  async #read(version: VersionRef): Promise<VersionValues> {
    const { layout, job } = this.#options;
    const { name } = job.optimizer;
    const parameters = allocateSegments(layout);
    const slots = slotKinds[name].map(() => allocateSegments(layout));
    const powers = await Promise.all(
      this.#shards.map((shard, i) => {
        const part = this.#parts[i] as ShardPart;
        const into = { parameters: partOf(parameters, part), slots: slots.map((slot) => partOf(slot, part)) };
        return shard.read(version, into);
      }),
    );
    return { parameters, optimizer: slots.length === 0 ? null : { name, slots, powers: powers[0] ?? null } };
  }

  /** Where each unit is applied as it comes: none from this one on has been offered, and none is taken. */
  openUnits(until: number): void {
    this.#intake.open(until);
  }

  /**
   * Waits for all units of the current version, then makes the next one of them. A step none of whose examples counted
   * leaves every value as it is.
   * @throws ShowtellError `parameters/out-of-order`, or `parameters/not-finite` and the version stays as it is
   */
  async step(request: StepRequest): Promise<StepResult> {
    const { step, phase } = request;
    const { lineage } = this.#publication;
    const turn = this.#traces.turn(step, lineage, phase);
    const result = await traced(turn, () => this.#step(request, turn));
    this.#traces.finish({ step, lineage, evaluation: false }, { 'showtell.loss': result.loss });
    return result;
  }

  async #step({ step, phase, learningRate, nextPhase = phase }: StepRequest, turn: TraceSpan): Promise<StepResult> {
    if (this.#publication.phase !== phase) this.setPhase(phase);
    if (step !== this.#publication.step)
      throw new ShowtellError('parameters/out-of-order', {
        detail: `step ${step} while version ${this.#publication.step} is current`,
      });
    const start = performance.now();
    const gradient = await this.#intake.gradient();
    const complete = performance.now();
    const { missing } = this.#intake;
    const { accepted, examples, tokens, lossSum, sumSeconds } = gradient;
    const { norm, scale } = await traced(turn.child('clip'), () => Promise.resolve(this.#clip(phase, examples)));
    const segments = examples === 0 ? [] : trainedSegments(phase);
    const seconds = await this.#queue.run(() => this.#update(segments, scale, learningRate, nextPhase, turn));
    return {
      step,
      loss: tokens === 0 ? 0 : lossSum / tokens,
      tokens,
      examples,
      gradientNorm: norm,
      clipScale: scale,
      missing,
      accepted,
      seconds: { wait: (complete - start) / 1000, sum: sumSeconds, ...seconds },
    };
  }

  /** Norm and clip factor of the step's gradient, whose blocks' squares are in. */
  #clip(phase: PhaseName, examples: number): { norm: number; scale: number } {
    if (examples === 0) return { norm: 0, scale: 1 };
    const segments: SegmentName[] = trainedSegments(phase).filter((segment) => segment !== 'statistics');
    const norm = globalNorm(this.#squares.filter((_, id) => segments.includes(this.#segments[id] ?? 'statistics')));
    if (!Number.isFinite(norm))
      throw new ShowtellError('parameters/not-finite', {
        step: this.#publication.step,
        detail: `the sum of its gradients has norm ${norm}`,
      });
    return { norm, scale: clipScale(norm, this.#options.job.optimizer.clip) };
  }

  async #update(
    segments: readonly SegmentName[],
    scale: number,
    learningRate: number,
    nextPhase: PhaseName | null,
    turn: TraceSpan,
  ): Promise<{ update: number; publish: number }> {
    const start = performance.now();
    const ring = this.#publication.nextRing(segments);
    const held = [...this.#pinned];
    const request = { segments, scale, learningRate, keepBefore: true, ring, held };
    await traced(turn.child('update'), () => Promise.all(this.#shards.map((shard) => shard.update(request))));
    const updated = performance.now();
    const publish = turn.child('publish');
    this.#publication.advance(segments, ring, nextPhase);
    this.#intake.begin();
    this.#publication.announce();
    publish.end();
    return { update: (updated - start) / 1000, publish: (performance.now() - updated) / 1000 };
  }

  /**
   * Goes back to a checkpoint's values under a higher lineage; everything of the lineage before is stale from now on.
   * A step that waits never comes.
   */
  async rewind(state: ParameterState): Promise<void> {
    await this.#queue.run(async () => {
      const { lineage } = this.#publication;
      if (state.lineage <= lineage)
        throw new ShowtellError('parameters/out-of-order', {
          detail: `lineage ${state.lineage} after lineage ${lineage}`,
        });
      this.#intake.abandon('the run went back to a checkpoint');
      const ring = this.#publication.nextRing(segmentNames);
      await Promise.all(
        this.#shards.map((shard, i) => shard.replace(stateOf(state, this.#parts[i] as ShardPart), ring)),
      );
      this.#publication.replace(state, ring);
      this.#intake.replace(state.step, state.missing ?? []);
      this.#publication.announce();
    });
  }

  /**
   * Takes one unit's gradient: from a slot in shared memory, from chunks, or as it was left at the shards.
   * @returns the verdict; the slot is free again once it is there
   */
  push(header: GradientHeader, chunks: AsyncIterable<GradientChunk> | null): Promise<PushVerdict> {
    return this.#intake.push(header, chunks);
  }

  /** Tells who is in session: nobody else reads or leaves anything at a shard that is a process of its own. */
  async setSessions(open: readonly OpenSession[]): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.setSessions(open)));
  }

  /** Removes what a worker that is gone left in shared memory. */
  async forgetWorker(worker: string): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.forgetWorker(worker)));
  }

  /** Ends the threads or leaves the shards; a step that waits is rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#intake.abandon('the parameter server was closed');
    await this.#queue.close();
    await Promise.all(this.#shards.map((shard) => shard[Symbol.asyncDispose]()));
  }
}

/** A part of a state. */
function stateOf(state: ParameterState, part: ShardPart): ParameterState {
  const { parameters, optimizer } = state;
  return {
    ...state,
    parameters: partOf(parameters, part),
    optimizer: optimizer === null ? null : { ...optimizer, slots: optimizer.slots.map((slot) => partOf(slot, part)) },
  };
}

import type { GradientChunk, GradientHeader, Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { type PhaseName, trainedSegments } from '@showtell/shared/job/phases.js';
import { blocksOf, type ParameterLayout, type SegmentName, segmentNames } from '@showtell/shared/tensors/layout.js';
import type { BlockJob, OwnedBlock } from './block-jobs.js';
import { BlockThreads } from './block-threads.js';
import { clipScale, globalNorm } from './clip.js';
import { GradientIntake, type IntakeParts } from './gradient-intake.js';
import type { CountedUnit, StepGradient } from './gradient-round.js';
import { updateRule } from './optimizer.js';
import { Publication } from './publication.js';
import { SerialQueue } from './serial-queue.js';
import { SharedMemory } from './shared-memory.js';
import { SumMemory } from './sum-memory.js';
import type { PushVerdict } from './verdict.js';
import { type ParameterState, type PinnedVersion, Versions } from './versions.js';

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
  /** In unit order. */
  readonly accepted: readonly CountedUnit[];
  readonly seconds: { readonly wait: number; readonly sum: number; readonly update: number; readonly publish: number };
}

/**
 * The parameters and their updates: verdict → sum → clip → optimizer → next version. A version is a function of the
 * one before and the step's units, whatever order, worker, transport or number of threads they came by.
 */
export class ParameterServer implements AsyncDisposable {
  readonly #options: ParameterServerOptions;
  readonly #versions: Versions;
  readonly #threads: BlockThreads;
  readonly #shared: SharedMemory | null;
  /** Of each block of the step's gradient, once its units are in. */
  readonly #squares: Float64Array;
  readonly #intake: GradientIntake;
  readonly #publication: Publication;
  /** Jobs run one after the other: the threads are what is scarce. */
  readonly #queue: SerialQueue;
  #closed = false;

  private constructor(
    options: ParameterServerOptions,
    { versions, threads, shared, queue, ...rest }: Omit<IntakeParts, 'layout' | 'job' | 'run' | 'generation'>,
    squares: SharedArrayBuffer,
  ) {
    this.#options = options;
    this.#versions = versions;
    this.#threads = threads;
    this.#shared = shared;
    this.#squares = new Float64Array(squares);
    this.#queue = queue;
    const { layout, job, run, generation } = options;
    this.#intake = new GradientIntake({ layout, job, run, generation, versions, threads, shared, queue, ...rest });
    this.#publication = new Publication(layout, generation, versions, shared);
  }

  /** Starts threads, makes the folder in shared memory and publishes the state's version. */
  static async open(options: ParameterServerOptions): Promise<ParameterServer> {
    const { layout, job, run } = options;
    const decaying = new Set(options.specs.filter(({ l2 }) => l2).map(({ name }) => name));
    const blocks: OwnedBlock[] = blocksOf(layout).map(({ entry, segment, offset, size }, id) => ({
      id,
      tensor: entry.name,
      segment,
      offset,
      size,
      decays: decaying.has(entry.name),
    }));
    const squares = new SharedArrayBuffer(blocks.length * 8);
    const wire = job.wire.dtype;
    const parent = options.sharedMemory === undefined ? '/dev/shm' : options.sharedMemory;
    const shared =
      parent === null
        ? null
        : await SharedMemory.open(parent, run, layout, wire, options.onNotice ?? (() => undefined));
    const memory = new SumMemory(layout);
    const threads = BlockThreads.start(
      {
        blocks,
        sumOffsets: memory.offsets,
        marksOffset: memory.marksOffset,
        wire,
        squares,
        rings: shared?.rings ?? null,
      },
      options.threads,
    );
    const versions = new Versions(layout, options.state, job.optimizer);
    const queue = new SerialQueue('the parameter server');
    const server = new ParameterServer(options, { versions, threads, shared, memory, queue }, squares);
    await server.#writeToRings();
    return server;
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

  /** Folder and nonce for a session's Welcome; null without shared memory. */
  get sharedMemory(): { readonly directory: string; readonly nonce: string } | null {
    return this.#shared === null ? null : { directory: this.#shared.directory, nonce: this.#shared.nonce };
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
        detail: `phase ${phase} for step ${this.#versions.step}, of which units are counted`,
      });
    this.#versions.setPhase(phase);
    this.#publication.announce();
  }

  /** The current version, held until it is released: saving and evaluating block nothing. */
  pin(): PinnedVersion {
    return this.#versions.pin();
  }

  /** A version that is current or pinned. @throws ShowtellError `parameters/version-gone` */
  pinVersion(id: { readonly generation: number; readonly lineage: number; readonly step: number }): PinnedVersion {
    const pinned = id.generation === this.#options.generation ? this.#versions.pinStep(id.step, id.lineage) : null;
    if (pinned === null)
      throw new ShowtellError('parameters/version-gone', {
        step: id.step,
        lineage: id.lineage,
        generation: id.generation,
      });
    return pinned;
  }

  /**
   * Waits for all units of the current version, then makes the next one of them. A step none of whose examples counted
   * leaves every value as it is.
   * @throws ShowtellError `parameters/out-of-order`, or `parameters/not-finite` and the version stays as it is
   */
  async step({ step, phase, learningRate, nextPhase = phase }: StepRequest): Promise<StepResult> {
    if (this.#versions.phase !== phase) this.setPhase(phase);
    if (step !== this.#versions.step)
      throw new ShowtellError('parameters/out-of-order', {
        detail: `step ${step} while version ${this.#versions.step} is current`,
      });
    const start = performance.now();
    const gradient = await this.#intake.gradient();
    const complete = performance.now();
    const { accepted, examples, tokens, lossSum, sumSeconds } = gradient;
    const { norm, scale } = this.#clip(phase, examples);
    const seconds = await this.#queue.run(() =>
      examples === 0
        ? this.#update([], gradient, 1, learningRate, nextPhase)
        : this.#update(trainedSegments(phase), gradient, scale, learningRate, nextPhase),
    );
    return {
      step,
      loss: tokens === 0 ? 0 : lossSum / tokens,
      tokens,
      examples,
      gradientNorm: norm,
      clipScale: scale,
      accepted,
      seconds: { wait: (complete - start) / 1000, sum: sumSeconds, ...seconds },
    };
  }

  /** Norm and clip factor of the step's gradient, whose blocks' squares are in. */
  #clip(phase: PhaseName, examples: number): { norm: number; scale: number } {
    if (examples === 0) return { norm: 0, scale: 1 };
    const segments: SegmentName[] = trainedSegments(phase).filter((segment) => segment !== 'statistics');
    const blocks = blocksOf(this.#options.layout);
    const norm = globalNorm(this.#squares.filter((_, id) => segments.includes(blocks[id]?.segment ?? 'statistics')));
    if (!Number.isFinite(norm))
      throw new ShowtellError('parameters/not-finite', {
        step: this.#versions.step,
        detail: `the sum of its gradients has norm ${norm}`,
      });
    return { norm, scale: clipScale(norm, this.#options.job.optimizer.clip) };
  }

  async #update(
    segments: readonly SegmentName[],
    gradient: StepGradient,
    scale: number,
    rate: number,
    nextPhase: PhaseName | null,
  ): Promise<{ update: number; publish: number }> {
    const { job } = this.#options;
    const start = performance.now();
    const draft = this.#versions.draft(segments);
    const { parameters: current, slots } = this.#versions.memories;
    this.#publication.writing(segments, draft.ring);
    await this.#run({
      kind: 'update',
      segments,
      gradient: gradient.memory,
      scale,
      rule: updateRule(job.optimizer, rate, this.#versions.powers),
      decay: job.model.encoder.batchNormDecay,
      current,
      next: draft.parameters,
      slots,
      nextSlots: draft.slots,
      ring: draft.ring,
    });
    const updated = performance.now();
    this.#versions.advance(draft, segments, nextPhase);
    this.#intake.begin(gradient);
    this.#publication.written(segments, draft.ring);
    this.#publication.announce();
    return { update: (updated - start) / 1000, publish: (performance.now() - updated) / 1000 };
  }

  /**
   * Goes back to a checkpoint's values under a higher lineage; everything of the lineage before is stale from now on.
   * A step that waits never comes.
   */
  async rewind(state: ParameterState): Promise<void> {
    await this.#queue.run(async () => {
      if (state.lineage <= this.#versions.lineage)
        throw new ShowtellError('parameters/out-of-order', {
          detail: `lineage ${state.lineage} after lineage ${this.#versions.lineage}`,
        });
      this.#intake.abandon('the run went back to a checkpoint');
      this.#versions.replace(state);
      await this.#writeToRings();
      this.#publication.announce();
    });
  }

  /**
   * Takes one unit's gradient, from a slot in shared memory or from chunks.
   * @returns the verdict; the slot is free again once it is there
   */
  push(header: GradientHeader, chunks: AsyncIterable<GradientChunk> | null): Promise<PushVerdict> {
    return this.#intake.push(header, chunks);
  }

  /** Removes what a worker that is gone left in shared memory. */
  async forgetWorker(worker: string): Promise<void> {
    await this.#shared?.removeSlots(worker);
  }

  async #writeToRings(): Promise<void> {
    if (this.#shared === null) return;
    const ring = Object.fromEntries(segmentNames.map((name) => [name, this.#versions.segment(name).ring]));
    this.#publication.writing(segmentNames, ring);
    await this.#run({ kind: 'publish', segments: segmentNames, parameters: this.#versions.memories.parameters, ring });
    this.#publication.written(segmentNames, ring);
  }

  async #run(job: BlockJob): Promise<void> {
    const result = await this.#threads.run(job);
    if (result.kind === 'failed') throw new Error(`a parameter thread failed: ${result.message}`);
  }

  /** Ends the threads and removes the folder in shared memory; a step that waits is rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#intake.abandon('the parameter server was closed');
    await this.#queue.close();
    await this.#threads.close();
    await this.#shared?.close();
  }
}

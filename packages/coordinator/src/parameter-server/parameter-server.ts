import type { GradientChunk, GradientHeader } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { Verdict, type Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { type PhaseName, trainedSegments } from '@showtell/shared/job/phases.js';
import { embeddingWidth, gradientBody, isSegmentName } from '@showtell/shared/tensors/gradient-body.js';
import { blocksOf, type ParameterLayout, type SegmentName, segmentNames } from '@showtell/shared/tensors/layout.js';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';
import { headerBytes } from '@showtell/shared/tensors/version-file.js';
import type { BlockJob, LeafSource, OwnedBlock } from './block-jobs.js';
import { BlockThreads } from './block-threads.js';
import { clipScale, globalNorm } from './clip.js';
import { updateRule } from './optimizer.js';
import { receiveBody } from './receive-body.js';
import { SharedMemory } from './shared-memory.js';
import { StepSum } from './step-sum.js';
import { type Expected, judge, phaseOf } from './verdict.js';
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

/** One unit as it was counted, for the account of which record counted when. */
export interface CountedUnit {
  readonly index: number;
  readonly worker: string;
  readonly attempt: number;
  readonly examples: number;
  readonly tokens: number;
  readonly lossSum: number;
  /** Positions within the unit of records that were skipped. */
  readonly skipped: readonly number[];
  readonly computeSeconds: number;
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

export interface PushVerdict {
  readonly verdict: Verdict;
  readonly detail: string;
}

/** The step's gradient, once all units are in. */
interface Completion {
  readonly promise: Promise<SharedArrayBuffer>;
  readonly resolve: (gradient: SharedArrayBuffer) => void;
  readonly reject: (error: Error) => void;
}

/** The gradient of the current version as far as units came in. */
interface Round {
  readonly sum: StepSum<SharedArrayBuffer>;
  readonly counted: Map<number, CountedUnit>;
  readonly complete: Completion;
  /** Time the threads spent on it. */
  sumSeconds: number;
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
  readonly #squares: Float64Array;
  readonly #sumBytes: number;
  readonly #freeSums: SharedArrayBuffer[] = [];
  readonly #listeners = new Set<(version: Version) => void>();
  #round: Round;
  /** Jobs run one after the other: the threads are what is scarce. */
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(
    options: ParameterServerOptions,
    versions: Versions,
    threads: BlockThreads,
    shared: SharedMemory | null,
    squares: SharedArrayBuffer,
  ) {
    this.#options = options;
    this.#versions = versions;
    this.#threads = threads;
    this.#shared = shared;
    this.#squares = new Float64Array(squares);
    this.#sumBytes = sumOffsets(options.layout).bytes + this.#squares.length;
    this.#round = newRound(options.job.batch.units);
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
    const threads = BlockThreads.start(
      {
        blocks,
        sumOffsets: sumOffsets(layout).offsets,
        marksOffset: sumOffsets(layout).bytes,
        wire,
        squares,
        rings: shared?.rings ?? null,
      },
      options.threads,
    );
    const versions = new Versions(layout, options.state, job.optimizer);
    const server = new ParameterServer(options, versions, threads, shared, squares);
    await server.#writeToRings();
    return server;
  }

  /** What sessions are told of the current version. */
  get version(): Version {
    const { generation, layout } = this.#options;
    const { step, lineage, phase } = this.#versions;
    return {
      id: { generation, lineage, step },
      phase: phaseOf(phase),
      segments: segmentNames.map((segment) => {
        const { changedAtStep, ring } = this.#versions.segment(segment);
        const file = this.#shared === null ? '' : `${segment}.${ring}`;
        return { segment, changedAtStep, file, offset: headerBytes, elements: layout.elements[segment] };
      }),
    };
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
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Decides the phase of a version that was announced without one.
   * @throws ShowtellError `parameters/out-of-order` when units of another phase are counted already: announce a version
   * at which a decision is due with `nextPhase: null`
   */
  setPhase(phase: PhaseName): void {
    if (this.#round.counted.size > 0)
      throw new ShowtellError('parameters/out-of-order', {
        detail: `phase ${phase} for step ${this.#versions.step}, of which units are counted`,
      });
    this.#versions.setPhase(phase);
    this.#announce();
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
    const round = this.#round;
    const gradient = await round.complete.promise;
    const complete = performance.now();
    const accepted = [...round.counted.values()].sort((a, b) => a.index - b.index);
    const total = (of: (unit: CountedUnit) => number): number => accepted.reduce((sum, unit) => sum + of(unit), 0);
    const examples = total((unit) => unit.examples);
    const tokens = total((unit) => unit.tokens);
    const { norm, scale } = this.#clip(phase, examples);
    const seconds = await this.#enqueue(() =>
      examples === 0
        ? this.#update([], gradient, 1, learningRate, nextPhase)
        : this.#update(trainedSegments(phase), gradient, scale, learningRate, nextPhase),
    );
    return {
      step,
      loss: tokens === 0 ? 0 : total((unit) => unit.lossSum) / tokens,
      tokens,
      examples,
      gradientNorm: norm,
      clipScale: scale,
      accepted,
      seconds: { wait: (complete - start) / 1000, sum: round.sumSeconds, ...seconds },
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
    gradient: SharedArrayBuffer,
    scale: number,
    rate: number,
    nextPhase: PhaseName | null,
  ): Promise<{ update: number; publish: number }> {
    const { job } = this.#options;
    const start = performance.now();
    const draft = this.#versions.draft(segments);
    const { parameters: current, slots } = this.#versions.memories;
    this.#stampRings(segments, draft.ring, null);
    await this.#run({
      kind: 'update',
      segments,
      gradient,
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
    this.#freeSums.push(gradient);
    this.#round = newRound(job.batch.units);
    this.#stampRings(segments, draft.ring, this.#versions.step);
    this.#announce();
    return { update: (updated - start) / 1000, publish: (performance.now() - updated) / 1000 };
  }

  /**
   * Goes back to a checkpoint's values under a higher lineage; everything of the lineage before is stale from now on.
   * A step that waits never comes.
   */
  async rewind(state: ParameterState): Promise<void> {
    await this.#enqueue(async () => {
      if (state.lineage <= this.#versions.lineage)
        throw new ShowtellError('parameters/out-of-order', {
          detail: `lineage ${state.lineage} after lineage ${this.#versions.lineage}`,
        });
      this.#freeSums.push(...this.#round.sum.waiting);
      this.#abandonRound('the run went back to a checkpoint');
      this.#round = newRound(this.#options.job.batch.units);
      this.#versions.replace(state);
      await this.#writeToRings();
      this.#announce();
    });
  }

  /**
   * Takes one unit's gradient, from a slot in shared memory or from chunks.
   * @returns the verdict; the slot is free again once it is there
   */
  async push(header: GradientHeader, chunks: AsyncIterable<GradientChunk> | null): Promise<PushVerdict> {
    const early = judge(header, this.#expected());
    if (early.kind !== 'wanted') return answer(early.kind, 'detail' in early ? early.detail : '');
    const { layout } = this.#options;
    const segments = header.segments.filter(isSegmentName);
    const body = gradientBody(layout, segments, header.embeddingRows.length, this.wire);
    const rows = body.rows === null ? null : { ...body.rows, numbers: Uint32Array.from(header.embeddingRows) };
    if (header.examples === 0) return this.#enqueue(() => this.#count(header, { kind: 'zero' }));
    if (header.slot !== '') {
      const path = this.#shared?.slot(header.slot, body.bytes) ?? null;
      if (path === null) return answer('invalid', `there is no slot ${header.slot} of ${body.bytes} bytes`);
      return this.#enqueue(() => this.#count(header, { kind: 'file', path, parts: body.parts, rows }));
    }
    if (chunks === null) return answer('invalid', 'neither a slot nor chunks came with the header');
    const memory = this.#takeSum(body.bytes);
    try {
      const fault = await receiveBody(chunks, body, memory);
      if (fault !== null) return answer('invalid', fault);
      return await this.#enqueue(() => this.#count(header, { kind: 'memory', memory, parts: body.parts, rows }));
    } finally {
      this.#freeSums.push(memory);
    }
  }

  /** Adds one unit to the sum, unless it became unwanted while it waited. */
  async #count(header: GradientHeader, leaf: LeafSource): Promise<PushVerdict> {
    const judged = judge(header, this.#expected());
    if (judged.kind !== 'wanted') return answer(judged.kind, 'detail' in judged ? judged.detail : '');
    const start = performance.now();
    const round = this.#round;
    const index = header.unit?.index ?? 0;
    const plan = round.sum.plan(index);
    const before = [...round.counted.values()].reduce((sum, unit) => sum + unit.examples, 0);
    const examples = before + header.examples;
    const phase = this.#versions.phase ?? 'decoder-only';
    const out = this.#takeSum(this.#sumBytes);
    const { job } = this.#options;
    const result = await this.#threads.run({
      kind: 'sum',
      segments: trainedSegments(phase),
      leaf,
      weight: header.examples,
      siblings: plan.siblings,
      out,
      average:
        plan.complete && examples > 0
          ? {
              weight: examples,
              l2: phase === 'joint' ? job.phases.joint.l2 : 0,
              parameters: this.#versions.memories.parameters,
            }
          : null,
    });
    if (result.kind !== 'done') {
      this.#freeSums.push(out);
      if (result.kind === 'not-finite') return answer('invalid', `the gradient of ${result.tensor} is not finite`);
      throw new Error(`the gradient of unit ${index} could not be read: ${result.message}`);
    }
    round.sum.commit(plan, out);
    this.#freeSums.push(...plan.siblings);
    round.counted.set(index, countedUnit(header));
    round.sumSeconds += (performance.now() - start) / 1000;
    if (plan.complete) round.complete.resolve(out);
    return answer('accepted', '');
  }

  #expected(): Expected {
    const { job, run, generation, layout } = this.#options;
    const { step, lineage, phase } = this.#versions;
    const { counted } = this.#round;
    const width = embeddingWidth(layout);
    return {
      run,
      generation,
      lineage,
      step,
      phase,
      units: job.batch.units,
      unitExamples: job.batch.examples / job.batch.units,
      wire: job.wire.dtype,
      embeddingRows: width === 0 ? 0 : Math.floor(layout.elements.embedding / width),
      counted,
    };
  }

  /** Removes what a worker that is gone left in shared memory. */
  async forgetWorker(worker: string): Promise<void> {
    await this.#shared?.removeSlots(worker);
  }

  #announce(): void {
    const { version } = this;
    for (const listener of this.#listeners) listener(version);
  }

  async #writeToRings(): Promise<void> {
    if (this.#shared === null) return;
    const ring = Object.fromEntries(segmentNames.map((name) => [name, this.#versions.segment(name).ring]));
    this.#stampRings(segmentNames, ring, null);
    await this.#run({ kind: 'publish', segments: segmentNames, parameters: this.#versions.memories.parameters, ring });
    this.#stampRings(segmentNames, ring, this.#versions.step);
  }

  #stampRings(
    segments: readonly SegmentName[],
    ring: Readonly<Partial<Record<SegmentName, number>>>,
    changedAtStep: number | null,
  ): void {
    const { generation } = this.#options;
    const { lineage } = this.#versions;
    const stamp = changedAtStep === null ? null : { generation, lineage, changedAtStep };
    for (const segment of segments) this.#shared?.stamp(segment, ring[segment] ?? 0, stamp);
  }

  async #run(job: BlockJob): Promise<void> {
    const result = await this.#threads.run(job);
    if (result.kind === 'failed') throw new Error(`a parameter thread failed: ${result.message}`);
  }

  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(() => {
      if (this.#closed) throw new Error('the parameter server is closed');
      return task();
    });
    this.#queue = run.catch(() => undefined);
    return run;
  }

  #takeSum(bytes: number): SharedArrayBuffer {
    const fitting = this.#freeSums.findIndex((memory) => memory.byteLength >= bytes);
    if (fitting < 0) return allocateShared(Math.max(bytes, this.#sumBytes));
    const [memory] = this.#freeSums.splice(fitting, 1);
    return memory as SharedArrayBuffer;
  }

  #abandonRound(why: string): void {
    // Nobody may be waiting for it.
    this.#round.complete.promise.catch(() => undefined);
    this.#round.complete.reject(new ShowtellError('parameters/out-of-order', { detail: why }));
  }

  /** Ends the threads and removes the folder in shared memory; a step that waits is rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#abandonRound('the parameter server was closed');
    await this.#queue;
    await this.#threads.close();
    await this.#shared?.close();
  }
}

function newRound(units: number): Round {
  let settle: Omit<Completion, 'promise'> | undefined;
  const promise = new Promise<SharedArrayBuffer>((resolve, reject) => (settle = { resolve, reject }));
  const complete = { promise, ...(settle as unknown as Omit<Completion, 'promise'>) };
  return { sum: new StepSum(units), counted: new Map(), complete, sumSeconds: 0 };
}

function countedUnit(header: GradientHeader): CountedUnit {
  return {
    index: header.unit?.index ?? 0,
    worker: header.worker,
    attempt: header.unit?.attempt ?? 0,
    examples: header.examples,
    tokens: header.tokens,
    lossSum: header.lossSum,
    skipped: header.skipped,
    computeSeconds: header.computeSeconds,
  };
}

/** A sum holds all segments one after the other. */
function sumOffsets(layout: ParameterLayout): { offsets: Record<SegmentName, number>; bytes: number } {
  const { decoder, embedding, encoder, statistics } = layout.elements;
  return {
    offsets: {
      decoder: 0,
      embedding: decoder,
      encoder: decoder + embedding,
      statistics: decoder + embedding + encoder,
    },
    // A body of the same segments aligns each to 64 bytes, which a segment's elements are anyway.
    bytes: (decoder + embedding + encoder + statistics) * 4,
  };
}

const verdicts = {
  accepted: Verdict.VERDICT_ACCEPTED,
  duplicate: Verdict.VERDICT_DUPLICATE,
  stale: Verdict.VERDICT_STALE,
  invalid: Verdict.VERDICT_INVALID,
} as const;

function answer(kind: keyof typeof verdicts, detail: string): PushVerdict {
  return { verdict: verdicts[kind], detail };
}

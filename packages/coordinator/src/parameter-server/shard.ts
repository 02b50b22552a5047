import type { GradientChunk, GradientHeader } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { trainedSegments } from '@showtell/shared/job/phases.js';
import { gradientBody, isSegmentName } from '@showtell/shared/tensors/gradient-body.js';
import { blocksOf, type SegmentName, segmentNames } from '@showtell/shared/tensors/layout.js';
import type { ShardPart } from '@showtell/shared/tensors/shards.js';
import type { BlockJob, LeafSource, OwnedBlock } from './block-jobs.js';
import { BlockThreads } from './block-threads.js';
import { type BetaPowers, updateRule } from './optimizer.js';
import type {
  AddAnswer,
  AddRequest,
  ParameterShard,
  RingFiles,
  StateViews,
  UpdateRequest,
  VersionRef,
} from './parameter-shard.js';
import { receiveBody } from './receive-body.js';
import { SerialQueue } from './serial-queue.js';
import { SharedMemory } from './shared-memory.js';
import { type PlannedSum, StepSum } from './step-sum.js';
import { SumMemory } from './sum-memory.js';
import { type ParameterState, type PinnedVersion, Versions } from './versions.js';

/** Kept beside a step's own: of bodies that come in chunks. */
const spareSums = 4;

export interface ShardOptions {
  readonly part: ShardPart;
  /** Which parameters weight decay applies to. */
  readonly specs: readonly { readonly name: string; readonly l2: boolean }[];
  readonly job: Job;
  readonly run: string;
  readonly generation: number;
  /** Of the part. */
  readonly state: ParameterState;
  readonly ring: RingFiles;
  readonly threads: number;
  /** Folder for exchange on one host, such as /dev/shm; null: by gRPC alone. */
  readonly sharedMemory: string | null;
  readonly onNotice: (text: string) => void;
}

/** What was received of a gradient: where it lies, and how its memory is given back. */
export interface ReceivedLeaf {
  readonly leaf: LeafSource;
  readonly release: () => void;
}

/** A unit that was added and counts once the next request says so. */
interface PendingUnit {
  readonly plan: PlannedSum<SharedArrayBuffer>;
  readonly out: SharedArrayBuffer;
}

/** The values of a part and the arithmetic on them, in this process: sum by the fixed tree, optimizer, versions. */
export class Shard implements ParameterShard {
  readonly address = null;
  readonly #options: ShardOptions;
  readonly #versions: Versions;
  readonly #threads: BlockThreads;
  readonly #shared: SharedMemory | null;
  readonly #memory: SumMemory;
  /** Of each block of the step's gradient, once its units are in. */
  readonly #squares: Float64Array;
  /** Jobs run one after the other: the threads are what is scarce. */
  readonly #queue = new SerialQueue('the parameter server');
  #sum: StepSum<SharedArrayBuffer>;
  #pending: PendingUnit | null = null;

  private constructor(
    options: ShardOptions,
    parts: { threads: BlockThreads; shared: SharedMemory | null; memory: SumMemory },
    squares: SharedArrayBuffer,
  ) {
    const { part, state, job } = options;
    this.#options = options;
    this.#versions = new Versions(part.layout, state, job.optimizer);
    this.#threads = parts.threads;
    this.#shared = parts.shared;
    this.#memory = parts.memory;
    this.#squares = new Float64Array(squares, 0, part.blocks.length);
    this.#sum = new StepSum(job.batch.units);
  }

  /** Starts threads, makes the folder in shared memory and writes the state's version there. */
  static async open(options: ShardOptions): Promise<Shard> {
    const { part, job, run } = options;
    const { layout, from } = part;
    const decaying = new Set(options.specs.filter(({ l2 }) => l2).map(({ name }) => name));
    const blocks: OwnedBlock[] = blocksOf(layout).map(({ entry, segment, offset, size }, id) => ({
      id,
      tensor: entry.name,
      segment,
      offset,
      place: from[segment] + offset,
      size,
      decays: decaying.has(entry.name),
    }));
    const squares = new SharedArrayBuffer(blocks.length * 8);
    const wire = job.wire.dtype;
    const shared =
      options.sharedMemory === null
        ? null
        : await SharedMemory.open(options.sharedMemory, run, layout, wire, options.onNotice);
    const memory = new SumMemory(layout, job.batch.units + spareSums);
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
    const shard = new Shard(options, { threads, shared, memory }, squares);
    await shard.#writeToRings(options.ring);
    return shard;
  }

  /** Of the parameters. */
  get bytes(): number {
    return Object.values(this.#options.part.layout.elements).reduce((sum, elements) => sum + elements * 4, 0);
  }

  get sharedMemory(): { readonly directory: string; readonly nonce: string } | null {
    return this.#shared === null ? null : { directory: this.#shared.directory, nonce: this.#shared.nonce };
  }

  /**
   * Takes one unit's values: where a slot in shared memory has them, or out of chunks.
   * @returns what is wrong with them
   * @throws Error when the slot is not there any more: nothing can be said of them
   */
  async receive(header: GradientHeader, chunks: AsyncIterable<GradientChunk> | null): Promise<ReceivedLeaf | string> {
    const { part, job } = this.#options;
    const segments = header.segments.filter(isSegmentName);
    const body = gradientBody(part.layout, segments, header.embeddingRows.length, job.wire.dtype);
    const rows = body.rows === null ? null : { ...body.rows, numbers: Uint32Array.from(header.embeddingRows) };
    if (header.slot !== '') {
      const path = this.#shared?.slot(header.slot, body.bytes) ?? null;
      if (path === null) {
        const detail = `there is no slot ${header.slot} of ${body.bytes} bytes`;
        // It went with its worker's session, it may be while the gradient was on its way: no fault of the unit's.
        if (this.#shared?.lacks(header.slot) === true) throw new Error(detail);
        return detail;
      }
      return { leaf: { kind: 'file', path, parts: body.parts, rows }, release: () => undefined };
    }
    if (chunks === null) return 'neither a slot nor chunks came with the header';
    const memory = this.#memory.take(body.bytes);
    const release = (): void => this.#memory.give(memory);
    try {
      const fault = await receiveBody(chunks, body, memory);
      if (fault === null) return { leaf: { kind: 'memory', memory, parts: body.parts, rows }, release };
      release();
      return fault;
    } catch (error) {
      release();
      throw error;
    }
  }

  add(request: AddRequest): Promise<AddAnswer> {
    return this.#queue.run(async () => {
      this.#settle(request.keepBefore);
      const { index, examples, leaf, average, phase } = request;
      if (leaf === null) return { kind: 'missing' };
      const plan = this.#sum.plan(index);
      const out = this.#memory.take();
      const result = await this.#threads.run({
        kind: 'sum',
        segments: trainedSegments(phase),
        leaf,
        weight: examples,
        siblings: plan.siblings,
        out,
        average: average === null ? null : { ...average, parameters: this.#versions.memories.parameters },
      });
      if (result.kind !== 'done') {
        this.#memory.give(out);
        if (result.kind !== 'failed') return result;
        throw new Error(`the gradient of unit ${index} could not be read: ${result.message}`);
      }
      this.#pending = { plan, out };
      return { kind: 'added', squares: average === null ? null : this.#squares.slice() };
    });
  }

  update({ segments, scale, learningRate, keepBefore, ring, held }: UpdateRequest): Promise<void> {
    return this.#queue.run(async () => {
      this.#settle(keepBefore);
      const { job } = this.#options;
      const [gradient] = this.#sum.waiting;
      const draft = this.#versions.draft(segments);
      const { parameters: current, slots } = this.#versions.memories;
      if (segments.length > 0) {
        if (gradient === undefined) throw new Error('there is no sum to update with');
        for (const segment of segments) this.#shared?.stamp(segment, ring[segment] ?? 0, null);
        await this.#run({
          kind: 'update',
          segments,
          gradient,
          scale,
          rule: updateRule(job.optimizer, learningRate, this.#versions.powers),
          decay: job.model.encoder.batchNormDecay,
          current,
          next: draft.parameters,
          slots,
          nextSlots: draft.slots,
          ring,
        });
      }
      this.#versions.advance(draft, segments, held);
      this.#forgetSum();
      this.#stamp(segments, ring);
    });
  }

  replace(state: ParameterState, ring: RingFiles): Promise<void> {
    return this.#queue.run(async () => {
      this.#settle(false);
      this.#forgetSum();
      this.#versions.replace(state);
      await this.#writeToRings(ring);
    });
  }

  /** A version that is held, until it is released. @throws ShowtellError `parameters/version-gone` */
  pin(version: VersionRef): PinnedVersion {
    const pinned = this.#versions.pin(version);
    if (pinned !== null) return pinned;
    const { generation } = this.#options;
    throw new ShowtellError('parameters/version-gone', { ...version, generation });
  }

  read(version: VersionRef, into: Pick<ParameterState, 'parameters'> & StateViews): Promise<BetaPowers | null> {
    const pinned = this.pin(version);
    for (const segment of segmentNames) {
      into.parameters[segment].set(pinned.parameters[segment]);
      for (const [i, slot] of into.slots.entries()) {
        const kept = pinned.optimizer?.slots[i];
        if (kept !== undefined) slot[segment].set(kept[segment]);
      }
    }
    pinned.release();
    return Promise.resolve(pinned.optimizer?.powers ?? null);
  }

  /** Workers reach it through who holds it, and that one lets them in. */
  setSessions(): Promise<void> {
    return Promise.resolve();
  }

  /** Not while what lies in one is being added. */
  async forgetWorker(worker: string): Promise<void> {
    await this.#queue.run(async () => this.#shared?.removeSlots(worker));
  }

  #settle(keep: boolean): void {
    if (this.#pending === null) return;
    const { plan, out } = this.#pending;
    this.#pending = null;
    if (keep) {
      this.#sum.commit(plan, out);
      this.#memory.give(...plan.siblings);
    } else this.#memory.give(out);
  }

  #forgetSum(): void {
    this.#memory.give(...this.#sum.waiting);
    this.#sum = new StepSum(this.#options.job.batch.units);
  }

  async #writeToRings(ring: RingFiles): Promise<void> {
    if (this.#shared === null) return;
    for (const segment of segmentNames) this.#shared.stamp(segment, ring[segment] ?? 0, null);
    await this.#run({ kind: 'publish', segments: segmentNames, parameters: this.#versions.memories.parameters, ring });
    this.#stamp(segmentNames, ring);
  }

  /** Says that the rings' files hold the current version. */
  #stamp(segments: readonly SegmentName[], ring: RingFiles): void {
    const { lineage, step } = this.#versions;
    const stamp = { generation: this.#options.generation, lineage, changedAtStep: step };
    for (const segment of segments) this.#shared?.stamp(segment, ring[segment] ?? 0, stamp);
  }

  async #run(job: BlockJob): Promise<void> {
    const result = await this.#threads.run(job);
    if (result.kind === 'failed') throw new Error(`a parameter thread failed: ${result.message}`);
  }

  /** Ends the threads and removes the folder in shared memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close();
    await this.#threads.close();
    await this.#shared?.close();
  }
}

import type { GradientChunk, GradientHeader } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Job } from '@showtell/shared/job/job.js';
import { trainedSegments } from '@showtell/shared/job/phases.js';
import { embeddingWidth, gradientBody, isSegmentName } from '@showtell/shared/tensors/gradient-body.js';
import type { ParameterLayout } from '@showtell/shared/tensors/layout.js';
import type { LeafSource } from './block-jobs.js';
import type { BlockThreads } from './block-threads.js';
import { type CountedUnit, GradientRound, type StepGradient } from './gradient-round.js';
import { receiveBody } from './receive-body.js';
import type { SerialQueue } from './serial-queue.js';
import type { SharedMemory } from './shared-memory.js';
import type { SumMemory } from './sum-memory.js';
import { answer, type Expected, judge, type PushVerdict } from './verdict.js';
import type { Versions } from './versions.js';

/** What of the parameter server the intake works with. */
export interface IntakeParts {
  readonly layout: ParameterLayout;
  readonly job: Job;
  readonly run: string;
  readonly generation: number;
  readonly versions: Versions;
  readonly threads: BlockThreads;
  readonly shared: SharedMemory | null;
  readonly memory: SumMemory;
  /** What runs in the threads, and what changes versions, goes one after the other. */
  readonly queue: SerialQueue;
}

/**
 * Takes the gradients of the current version's units: verdict → sum by the fixed tree. The step's gradient is the same
 * bits in whatever order, from whomever and by whichever transport they came.
 */
export class GradientIntake {
  readonly #parts: IntakeParts;
  #round: GradientRound;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    this.#round = new GradientRound(parts.job.batch.units);
  }

  /** Units of the current version that are in the sum. */
  get counted(): ReadonlyMap<number, CountedUnit> {
    return this.#round.counted;
  }

  /** The current version's gradient, once all units are in; its memory goes back with {@link begin}. */
  gradient(): Promise<StepGradient> {
    return this.#round.gradient();
  }

  /** The next version is current: its units are counted from now on. */
  begin({ memory }: StepGradient): void {
    this.#parts.memory.give(memory);
    this.#round = new GradientRound(this.#parts.job.batch.units);
  }

  /** What was counted of the current version counts no more; who waits for its gradient is told why. */
  abandon(why: string): void {
    this.#parts.memory.give(...this.#round.abandon(why));
    this.#round = new GradientRound(this.#parts.job.batch.units);
  }

  /**
   * Takes one unit's gradient, from a slot in shared memory or from chunks.
   * @returns the verdict; the slot is free again once it is there
   */
  async push(header: GradientHeader, chunks: AsyncIterable<GradientChunk> | null): Promise<PushVerdict> {
    const early = judge(header, this.#expected());
    if (early.kind !== 'wanted') return answer(early.kind, 'detail' in early ? early.detail : '');
    const { layout, job, shared, memory } = this.#parts;
    const segments = header.segments.filter(isSegmentName);
    const body = gradientBody(layout, segments, header.embeddingRows.length, job.wire.dtype);
    const rows = body.rows === null ? null : { ...body.rows, numbers: Uint32Array.from(header.embeddingRows) };
    if (header.examples === 0) return this.#add(header, { kind: 'zero' });
    if (header.slot !== '') {
      const path = shared?.slot(header.slot, body.bytes) ?? null;
      if (path === null) return answer('invalid', `there is no slot ${header.slot} of ${body.bytes} bytes`);
      return this.#add(header, { kind: 'file', path, parts: body.parts, rows });
    }
    if (chunks === null) return answer('invalid', 'neither a slot nor chunks came with the header');
    const received = memory.take(body.bytes);
    try {
      const fault = await receiveBody(chunks, body, received);
      if (fault !== null) return answer('invalid', fault);
      return await this.#add(header, { kind: 'memory', memory: received, parts: body.parts, rows });
    } finally {
      memory.give(received);
    }
  }

  #add(header: GradientHeader, leaf: LeafSource): Promise<PushVerdict> {
    return this.#parts.queue.run(() => this.#count(header, leaf));
  }

  /** Adds one unit to the sum, unless it became unwanted while it waited. */
  async #count(header: GradientHeader, leaf: LeafSource): Promise<PushVerdict> {
    const judged = judge(header, this.#expected());
    if (judged.kind !== 'wanted') return answer(judged.kind, 'detail' in judged ? judged.detail : '');
    const { job, versions, threads, memory } = this.#parts;
    const start = performance.now();
    const round = this.#round;
    const { sum, examples } = round.plan(header);
    const phase = versions.phase ?? 'decoder-only';
    const out = memory.take();
    const result = await threads.run({
      kind: 'sum',
      segments: trainedSegments(phase),
      leaf,
      weight: header.examples,
      siblings: sum.siblings,
      out,
      average:
        sum.complete && examples > 0
          ? {
              weight: examples,
              l2: phase === 'joint' ? job.phases.joint.l2 : 0,
              parameters: versions.memories.parameters,
            }
          : null,
    });
    if (result.kind !== 'done') {
      memory.give(out);
      if (result.kind === 'not-finite') return answer('invalid', `the gradient of ${result.tensor} is not finite`);
      throw new Error(`the gradient of unit ${header.unit?.index ?? 0} could not be read: ${result.message}`);
    }
    memory.give(...sum.siblings);
    round.commit(header, sum, out, (performance.now() - start) / 1000);
    return answer('accepted', '');
  }

  #expected(): Expected {
    const { job, run, generation, layout, versions } = this.#parts;
    const { step, lineage, phase } = versions;
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
      counted: this.#round.counted,
    };
  }
}

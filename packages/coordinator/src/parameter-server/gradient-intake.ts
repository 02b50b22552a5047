import type { GradientChunk, GradientHeader } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Job } from '@showtell/shared/job/job.js';
import { embeddingWidth } from '@showtell/shared/tensors/gradient-body.js';
import type { ParameterLayout } from '@showtell/shared/tensors/layout.js';
import type { ShardPart } from '@showtell/shared/tensors/shards.js';
import { AppliedUnits } from './applied-units.js';
import type { LeafSource } from './block-jobs.js';
import { type CountedUnit, GradientRound, type StepGradient } from './gradient-round.js';
import type { AddAnswer, ParameterShard } from './parameter-shard.js';
import type { Publication } from './publication.js';
import type { SerialQueue } from './serial-queue.js';
import type { Shard } from './shard.js';
import { answer, counted, type Expected, judge, type PushVerdict } from './verdict.js';

/** What of the parameter server the intake works with. */
export interface IntakeParts {
  readonly layout: ParameterLayout;
  readonly job: Job;
  readonly run: string;
  readonly generation: number;
  readonly publication: Publication;
  readonly shards: readonly ParameterShard[];
  readonly parts: readonly ShardPart[];
  /** The only shard, where it is in this process: it takes bodies itself. */
  readonly own: Shard | null;
  /** Asynchronous mode: units before the last applied one that are not. */
  readonly missing: readonly number[];
  /** Of each block of the layout, once a step's units are in. */
  readonly squares: Float64Array;
  /** What shards are asked, and what changes versions, goes one after the other. */
  readonly queue: SerialQueue;
}

/**
 * Takes the gradients of the current version's units: verdict → sum by the fixed tree, in all shards or in none. The
 * step's gradient is the same bits in whatever order, from whomever and by whichever transport they came.
 */
export class GradientIntake {
  readonly #parts: IntakeParts;
  readonly #body: ReturnType<typeof expectedBody>;
  #round: GradientRound;
  /** Where each unit is applied as it comes. */
  #applied: AppliedUnits | null;
  /** No unit from this one on has been offered. */
  #openUntil = 0;
  /** Whether the unit that shards added last counts. */
  #keepLast = true;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    this.#body = expectedBody(parts.job, parts.layout);
    this.#round = new GradientRound(parts.job.batch.units);
    const isAsynchronous = parts.job.asynchronous !== null;
    this.#applied = isAsynchronous ? new AppliedUnits(parts.publication.step, parts.missing) : null;
  }

  /** Asynchronous mode: units before the last applied one that are not; a whole round's unit is applied. */
  get missing(): readonly number[] {
    return this.#applied?.missing ?? [];
  }

  /** Units of the current version that are in the sum. */
  get counted(): ReadonlyMap<number, CountedUnit> {
    return this.#round.counted;
  }

  /** The current version's gradient, once all units are in. */
  gradient(): Promise<StepGradient> {
    return this.#round.gradient();
  }

  /** Where each unit is applied as it comes: those before this one may come. */
  open(until: number): void {
    this.#openUntil = until;
  }

  /** The next version is current: its units are counted from now on. */
  begin(): void {
    const before = this.#round;
    this.#round = new GradientRound(this.#parts.job.batch.units);
    before.end();
  }

  /** What was counted of the current version counts no more; who waits for its gradient is told why. */
  abandon(why: string): void {
    this.#round.abandon(why);
    this.begin();
  }

  /** Other units are applied: those of a checkpoint. */
  replace(step: number, missing: readonly number[]): void {
    this.#openUntil = 0;
    if (this.#applied !== null) this.#applied = new AppliedUnits(step, missing);
  }

  /**
   * Takes one unit's gradient: from a slot in shared memory or from chunks, or as its worker left it at the shards.
   * @returns the verdict; the slot is free again once it is there
   * @throws Error when the slot is not there any more: nothing can be said of the gradient
   */
  async push(header: GradientHeader, chunks: AsyncIterable<GradientChunk> | null): Promise<PushVerdict> {
    const early = judge(header, this.#expected());
    if (early.kind !== 'wanted') return answer(early.kind, 'detail' in early ? early.detail : '');
    if (header.examples === 0) return this.#add(header, { kind: 'zero' });
    const { own } = this.#parts;
    if (own === null)
      return header.atShards ? this.#add(header, null) : answer('invalid', 'its values were not left at the shards');
    const received = await own.receive(header, chunks);
    if (typeof received === 'string') return answer('invalid', received);
    try {
      return await this.#add(header, received.leaf);
    } finally {
      received.release();
    }
  }

  async #add(header: GradientHeader, leaf: LeafSource | null): Promise<PushVerdict> {
    for (;;) {
      const round = this.#round;
      const verdict = await this.#parts.queue.run(() => this.#count(header, leaf));
      if (verdict !== null) return verdict;
      await round.over;
    }
  }

  /**
   * Adds one unit to the sum, unless it became unwanted while it waited.
   * @returns null where each unit is an update of its own, and the one before is still being made
   */
  async #count(header: GradientHeader, leaf: LeafSource | null): Promise<PushVerdict | null> {
    const judged = judge(header, this.#expected());
    if (judged.kind !== 'wanted') return answer(judged.kind, 'detail' in judged ? judged.detail : '');
    const { job, publication, shards } = this.#parts;
    const start = performance.now();
    const round = this.#round;
    if (this.#applied !== null && round.isWhole) return null;
    const phase = publication.phase ?? 'decoder-only';
    const examples = round.examplesWith(header);
    const { unit, worker } = header;
    const request = {
      step: unit?.step ?? 0,
      index: unit?.index ?? 0,
      worker,
      attempt: unit?.attempt ?? 0,
      phase,
      examples: header.examples,
      leaf,
      average:
        examples === null || examples === 0
          ? null
          : { weight: examples, l2: phase === 'joint' ? job.phases.joint.l2 : 0 },
      keepBefore: this.#keepLast,
    };
    // Until all have said that they added it, it does not count.
    this.#keepLast = false;
    const answers = await Promise.all(shards.map((shard) => shard.add(request)));
    for (const each of answers)
      if (each.kind === 'not-finite') return answer('invalid', `the gradient of ${each.tensor} is not finite`);
    // Its worker sends it again.
    if (answers.some(({ kind }) => kind === 'missing'))
      throw new Error('a shard does not have its part of the gradient');
    this.#keepLast = true;
    this.#noteSquares(answers);
    const staleness = this.#applied === null ? null : publication.step - (header.version?.step ?? 0);
    this.#applied?.add(request.step, { worker, attempt: request.attempt });
    round.commit(header, (performance.now() - start) / 1000, staleness);
    return counted;
  }

  /** The squares of each shard's blocks, at their places among all. */
  #noteSquares(answers: readonly AddAnswer[]): void {
    const { parts, squares } = this.#parts;
    for (const [i, each] of answers.entries()) {
      if (each.kind !== 'added' || each.squares === null) continue;
      for (const [at, id] of (parts[i]?.blocks ?? []).entries()) squares[id] = each.squares[at] ?? 0;
    }
  }

  #expected(): Expected {
    const { run, generation, publication } = this.#parts;
    const { step, lineage, phase } = publication;
    const { maxStaleness = 0 } = this.#parts.job.asynchronous ?? {};
    const asynchronous =
      this.#applied === null ? null : { applied: this.#applied, openUntil: this.#openUntil, maxStaleness };
    return { run, generation, lineage, step, phase, ...this.#body, counted: this.#round.counted, asynchronous };
  }
}

/** What a gradient's body must be like. */
export function expectedBody(
  job: Job,
  layout: ParameterLayout,
): Pick<Expected, 'units' | 'unitExamples' | 'unitTokens' | 'wire' | 'embeddingRows'> {
  const { units, examples, captionLengths } = job.batch;
  const unitExamples = examples / units;
  const embedding = layout.entries.filter(({ segment }) => segment === 'embedding');
  return {
    units,
    unitExamples,
    unitTokens: unitExamples * Math.max(...captionLengths),
    wire: job.wire.dtype,
    embeddingRows: embeddingWidth(layout) === 0 ? 0 : (embedding[0]?.shape[0] ?? 0),
  };
}

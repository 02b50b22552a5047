import type { Job } from '@showtell/shared/job/job.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import {
  type ParameterLayout,
  type SegmentName,
  segmentNames,
  type Segments,
} from '@showtell/shared/tensors/layout.js';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';
import { type BetaPowers, firstPowers, nextPowers, type OptimizerState, slotKinds } from './optimizer.js';
import type { VersionRef } from './parameter-shard.js';

/** One segment's values as a version brought them forth; versions that did not change it share it. */
interface SegmentBuffer {
  readonly memory: SharedArrayBuffer;
  /** Versions that hold it. */
  users: number;
}

export type Memories = Record<SegmentName, SharedArrayBuffer>;

interface HeldVersion {
  readonly step: number;
  readonly lineage: number;
  readonly parameters: Readonly<Record<SegmentName, SegmentBuffer>>;
  /** What the optimizer keeps. */
  readonly slots: readonly Readonly<Record<SegmentName, SegmentBuffer>>[];
  /** Adam's, of the next update. */
  readonly powers: BetaPowers | null;
  /** 1 while it is the current one, and one for each pin. */
  users: number;
}

/** A version that stays whole until it is released. */
export interface PinnedVersion {
  readonly step: number;
  readonly lineage: number;
  readonly parameters: Segments;
  /** null for an optimizer without state. */
  readonly optimizer: OptimizerState | null;
  readonly release: () => void;
}

/** Where a server begins, or goes back to: a checkpoint's content. */
export interface ParameterState {
  /** Updates applied. */
  readonly step: number;
  /** Rises at each rollback. */
  readonly lineage: number;
  /** null: a decision is due, no unit is trained on the version before it is taken. */
  readonly phase: PhaseName | null;
  /** Asynchronous mode: units before the last applied one that are not. By default there are none. */
  readonly missing?: readonly number[];
  readonly parameters: Segments;
  /** null, or another optimizer's: the job's own begins anew. */
  readonly optimizer: OptimizerState | null;
}

/** Memory for the segments that an update writes. */
export interface Draft {
  readonly parameters: Memories;
  readonly slots: readonly Memories[];
}

/** Files in each segment's ring: a reader may lag by two versions. */
export const ringFiles = 3;

/**
 * The versions of the parameters that are held: the current one and those that are pinned. An update writes into
 * memory that no held version uses, so a version never changes.
 */
export class Versions {
  readonly #layout: ParameterLayout;
  readonly #free: Record<SegmentName, SharedArrayBuffer[]> = {
    decoder: [],
    embedding: [],
    encoder: [],
    statistics: [],
  };
  readonly #held = new Set<HeldVersion>();
  #retained: PinnedVersion[] = [];
  #current: HeldVersion;

  constructor(
    layout: ParameterLayout,
    state: ParameterState,
    private readonly optimizer: Job['optimizer'],
  ) {
    this.#layout = layout;
    this.#current = this.#hold(this.#copyOf(state));
  }

  get step(): number {
    return this.#current.step;
  }
  get lineage(): number {
    return this.#current.lineage;
  }

  /** The current version's memory; not to be written. */
  get memories(): { parameters: Memories; slots: Memories[] } {
    const { parameters, slots } = this.#current;
    return { parameters: memoriesOf(parameters), slots: slots.map(memoriesOf) };
  }

  /** Adam's powers for the next update; null for other optimizers. */
  get powers(): BetaPowers | null {
    return this.#current.powers;
  }

  draft(segments: readonly SegmentName[]): Draft {
    const { parameters, slots } = this.memories;
    for (const segment of segments) {
      parameters[segment] = this.#take(segment);
      if (segment !== 'statistics') for (const slot of slots) slot[segment] = this.#take(segment);
    }
    return { parameters, slots };
  }

  /**
   * Makes a draft the current version; without segments nothing was updated.
   * @param retained versions that stay until the next one comes
   */
  advance(draft: Draft, segments: readonly SegmentName[], retained: readonly VersionRef[] = []): void {
    const before = this.#retained;
    this.#retained = retained.flatMap((ref) => this.pin(ref) ?? []);
    for (const { release } of before) release();
    const step = this.#current.step + 1;
    const parameters = { ...this.#current.parameters };
    const slots = this.#current.slots.map((slot) => ({ ...slot }));
    for (const segment of segments) {
      parameters[segment] = { memory: draft.parameters[segment], users: 0 };
      if (segment === 'statistics') continue;
      for (const [i, slot] of slots.entries()) {
        const memory = draft.slots[i]?.[segment];
        if (memory !== undefined) slot[segment] = { memory, users: 0 };
      }
    }
    const { lineage, powers: last } = this.#current;
    const powers = segments.length === 0 ? last : nextPowers(this.optimizer, last);
    this.#adopt({ step, lineage, parameters, slots, powers, users: 1 });
  }

  /** Replaces the current version by other values. */
  replace(state: ParameterState): void {
    this.#adopt(this.#copyOf(state));
  }

  /** A held version, the current one or another; null when it is held no more. */
  pin({ step, lineage }: VersionRef): PinnedVersion | null {
    const version = [...this.#held].find((held) => held.step === step && held.lineage === lineage);
    if (version === undefined) return null;
    version.users += 1;
    return this.#pinned(version);
  }

  #pinned(version: HeldVersion): PinnedVersion {
    let released = false;
    const { step, lineage, parameters, slots, powers } = version;
    const { name } = this.optimizer;
    return {
      step,
      lineage,
      parameters: this.#views(parameters),
      optimizer: slots.length === 0 ? null : { name, slots: slots.map((slot) => this.#views(slot)), powers },
      release: () => {
        if (!released) this.#release(version);
        released = true;
      },
    };
  }

  #adopt(next: HeldVersion): void {
    const previous = this.#current;
    this.#current = this.#hold(next);
    this.#release(previous);
  }

  #hold(version: HeldVersion): HeldVersion {
    for (const buffer of buffersOf(version)) buffer.users += 1;
    this.#held.add(version);
    return version;
  }

  #release(version: HeldVersion): void {
    version.users -= 1;
    if (version.users > 0) return;
    this.#held.delete(version);
    for (const segment of segmentNames)
      for (const { [segment]: buffer } of [version.parameters, ...version.slots]) {
        buffer.users -= 1;
        if (buffer.users === 0) this.#free[segment].push(buffer.memory);
      }
  }

  #copyOf(state: ParameterState): HeldVersion {
    const copy = (values: Segments | number): Record<SegmentName, SegmentBuffer> => {
      const buffer = (segment: SegmentName): SegmentBuffer => {
        const memory = this.#take(segment);
        const view = new Float32Array(memory, 0, this.#layout.elements[segment]);
        if (typeof values === 'number') view.fill(values);
        else view.set(values[segment]);
        return { memory, users: 0 };
      };
      return {
        decoder: buffer('decoder'),
        embedding: buffer('embedding'),
        encoder: buffer('encoder'),
        statistics: buffer('statistics'),
      };
    };
    const { name } = this.optimizer;
    const kept = state.optimizer?.name === name ? state.optimizer : null;
    return {
      step: state.step,
      lineage: state.lineage,
      parameters: copy(state.parameters),
      slots: slotKinds[name].map(({ first }, i) => copy(kept?.slots[i] ?? first(this.optimizer))),
      powers: kept?.powers ?? firstPowers(this.optimizer),
      users: 1,
    };
  }

  #take(segment: SegmentName): SharedArrayBuffer {
    return this.#free[segment].pop() ?? allocateShared(this.#layout.elements[segment] * 4);
  }

  #views(buffers: Readonly<Record<SegmentName, SegmentBuffer>>): Segments {
    const view = (segment: SegmentName): Float32Array =>
      new Float32Array(buffers[segment].memory, 0, this.#layout.elements[segment]);
    return {
      decoder: view('decoder'),
      embedding: view('embedding'),
      encoder: view('encoder'),
      statistics: view('statistics'),
    };
  }
}

function memoriesOf(buffers: Readonly<Record<SegmentName, SegmentBuffer>>): Memories {
  return {
    decoder: buffers.decoder.memory,
    embedding: buffers.embedding.memory,
    encoder: buffers.encoder.memory,
    statistics: buffers.statistics.memory,
  };
}

function* buffersOf({ parameters, slots }: HeldVersion): Generator<SegmentBuffer> {
  for (const held of [parameters, ...slots]) yield* Object.values(held);
}

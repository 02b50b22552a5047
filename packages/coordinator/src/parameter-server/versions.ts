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

/** One segment's values as a version brought them forth; versions that did not change it share it. */
interface SegmentBuffer {
  readonly memory: SharedArrayBuffer;
  readonly changedAtStep: number;
  /** File of the segment's ring in shared memory. */
  readonly ring: number;
  /** Versions that hold it. */
  users: number;
}

export type Memories = Record<SegmentName, SharedArrayBuffer>;

interface HeldVersion {
  readonly step: number;
  readonly lineage: number;
  phase: PhaseName | null;
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
  readonly phase: PhaseName | null;
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
  /** null: a decision is due, no unit is trained on the version before {@link Versions.setPhase}. */
  readonly phase: PhaseName | null;
  readonly parameters: Segments;
  /** null, or another optimizer's: the job's own begins anew. */
  readonly optimizer: OptimizerState | null;
}

/** Memory for the segments that an update writes. */
export interface Draft {
  readonly parameters: Memories;
  readonly slots: readonly Memories[];
  readonly ring: Partial<Record<SegmentName, number>>;
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
  #current: HeldVersion;

  constructor(
    layout: ParameterLayout,
    state: ParameterState,
    private readonly optimizer: Job['optimizer'],
  ) {
    this.#layout = layout;
    this.#current = this.#hold(this.#copyOf(state, 0));
  }

  get step(): number {
    return this.#current.step;
  }
  get lineage(): number {
    return this.#current.lineage;
  }
  get phase(): PhaseName | null {
    return this.#current.phase;
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

  segment(name: SegmentName): { changedAtStep: number; ring: number } {
    return this.#current.parameters[name];
  }

  setPhase(phase: PhaseName | null): void {
    this.#current.phase = phase;
  }

  draft(segments: readonly SegmentName[]): Draft {
    const { parameters, slots } = this.memories;
    const ring: Partial<Record<SegmentName, number>> = {};
    for (const segment of segments) {
      parameters[segment] = this.#take(segment);
      if (segment !== 'statistics') for (const slot of slots) slot[segment] = this.#take(segment);
      ring[segment] = (this.#current.parameters[segment].ring + 1) % ringFiles;
    }
    return { parameters, slots, ring };
  }

  /** Gives a draft's memory back that was not adopted. */
  discard(draft: Draft, segments: readonly SegmentName[]): void {
    for (const segment of segments) {
      this.#free[segment].push(draft.parameters[segment]);
      if (segment !== 'statistics') this.#free[segment].push(...draft.slots.map((slot) => slot[segment]));
    }
  }

  /** Makes a draft the current version; without segments nothing was updated. */
  advance(draft: Draft, segments: readonly SegmentName[], phase: PhaseName | null): void {
    const step = this.#current.step + 1;
    const parameters = { ...this.#current.parameters };
    const slots = this.#current.slots.map((slot) => ({ ...slot }));
    for (const segment of segments) {
      const ring = draft.ring[segment] ?? 0;
      parameters[segment] = { memory: draft.parameters[segment], changedAtStep: step, ring, users: 0 };
      if (segment === 'statistics') continue;
      for (const [i, slot] of slots.entries()) {
        const memory = draft.slots[i]?.[segment];
        if (memory !== undefined) slot[segment] = { memory, changedAtStep: step, ring: 0, users: 0 };
      }
    }
    const { lineage, powers: before } = this.#current;
    const powers = segments.length === 0 ? before : nextPowers(this.optimizer, before);
    this.#adopt({ step, lineage, phase, parameters, slots, powers, users: 1 });
  }

  /** Replaces the current version by other values. */
  replace(state: ParameterState): void {
    const ring = (this.#current.parameters.decoder.ring + 1) % ringFiles;
    this.#adopt(this.#copyOf(state, ring));
  }

  pin(): PinnedVersion {
    const version = this.#current;
    version.users += 1;
    return this.#pinned(version);
  }

  /** A held version by its step; null when it is held no more. */
  pinStep(step: number, lineage: number): PinnedVersion | null {
    const version = [...this.#held].find((held) => held.step === step && held.lineage === lineage);
    if (version === undefined) return null;
    version.users += 1;
    return this.#pinned(version);
  }

  #pinned(version: HeldVersion): PinnedVersion {
    let released = false;
    const { step, lineage, phase, parameters, slots, powers } = version;
    const { name } = this.optimizer;
    return {
      step,
      lineage,
      phase,
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

  #copyOf(state: ParameterState, ring: number): HeldVersion {
    const copy = (values: Segments | number): Record<SegmentName, SegmentBuffer> => {
      const buffer = (segment: SegmentName): SegmentBuffer => {
        const memory = this.#take(segment);
        const view = new Float32Array(memory, 0, this.#layout.elements[segment]);
        if (typeof values === 'number') view.fill(values);
        else view.set(values[segment]);
        return { memory, changedAtStep: state.step, ring, users: 0 };
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
      phase: state.phase,
      parameters: copy(state.parameters),
      slots: slotKinds[name].map(({ first }, i) => copy(kept?.slots[i] ?? first)),
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

import type { Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import { type ParameterLayout, type SegmentName, segmentNames } from '@showtell/shared/tensors/layout.js';
import { headerBytes } from '@showtell/shared/tensors/version-file.js';
import type { RingFiles } from './parameter-shard.js';
import { phaseOf } from './verdict.js';
import { type ParameterState, ringFiles } from './versions.js';

interface SegmentPublished {
  readonly changedAtStep: number;
  /** File of its ring in shared memory. */
  readonly ring: number;
}

/** The current version as others learn of it: the message that announces one. */
export class Publication {
  readonly #listeners = new Set<(version: Version) => void>();
  #step: number;
  #lineage: number;
  #phase: PhaseName | null;
  #segments: Record<SegmentName, SegmentPublished>;

  /** @param isShared whether versions are in shared memory too */
  constructor(
    private readonly layout: ParameterLayout,
    private readonly generation: number,
    private readonly isShared: boolean,
    { step, lineage, phase }: Pick<ParameterState, 'step' | 'lineage' | 'phase'>,
  ) {
    [this.#step, this.#lineage, this.#phase] = [step, lineage, phase];
    this.#segments = everySegment({ changedAtStep: step, ring: 0 });
  }

  get step(): number {
    return this.#step;
  }
  get lineage(): number {
    return this.#lineage;
  }
  get phase(): PhaseName | null {
    return this.#phase;
  }
  set phase(phase: PhaseName | null) {
    this.#phase = phase;
  }

  /** What sessions are told of the current version. */
  get version(): Version {
    const { layout, generation } = this;
    return {
      id: { generation, lineage: this.#lineage, step: this.#step },
      phase: phaseOf(this.#phase),
      segments: segmentNames.map((segment) => {
        const { changedAtStep, ring } = this.#segments[segment];
        const file = this.isShared ? `${segment}.${ring}` : '';
        return { segment, changedAtStep, file, offset: headerBytes, elements: layout.elements[segment] };
      }),
    };
  }

  /** Calls back with each version that is announced from now on. @returns how to stop it */
  onVersion(listener: (version: Version) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  announce(): void {
    const { version } = this;
    for (const listener of this.#listeners) listener(version);
  }

  /** The files that the next version of these segments is written to. */
  nextRing(segments: readonly SegmentName[]): RingFiles {
    return Object.fromEntries(segments.map((segment) => [segment, (this.#segments[segment].ring + 1) % ringFiles]));
  }

  /** The version after is current, with these segments changed. */
  advance(segments: readonly SegmentName[], ring: RingFiles, phase: PhaseName | null): void {
    this.#step += 1;
    this.#phase = phase;
    for (const segment of segments) this.#segments[segment] = { changedAtStep: this.#step, ring: ring[segment] ?? 0 };
  }

  /** Other values are current. */
  replace({ step, lineage, phase }: ParameterState, ring: RingFiles): void {
    [this.#step, this.#lineage, this.#phase] = [step, lineage, phase];
    for (const segment of segmentNames) this.#segments[segment] = { changedAtStep: step, ring: ring[segment] ?? 0 };
  }
}

function everySegment(published: SegmentPublished): Record<SegmentName, SegmentPublished> {
  return { decoder: published, embedding: published, encoder: published, statistics: published };
}

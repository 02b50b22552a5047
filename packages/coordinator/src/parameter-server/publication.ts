import type { Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { type ParameterLayout, type SegmentName, segmentNames } from '@showtell/shared/tensors/layout.js';
import { headerBytes } from '@showtell/shared/tensors/version-file.js';
import type { SharedMemory } from './shared-memory.js';
import { phaseOf } from './verdict.js';
import type { Versions } from './versions.js';

/** A file of each segment's ring. */
export type RingFiles = Readonly<Partial<Record<SegmentName, number>>>;

/** What others learn of versions: the message that announces one, and the stamps of its files in shared memory. */
export class Publication {
  readonly #listeners = new Set<(version: Version) => void>();

  constructor(
    private readonly layout: ParameterLayout,
    private readonly generation: number,
    private readonly versions: Versions,
    private readonly shared: SharedMemory | null,
  ) {}

  /** What sessions are told of the current version. */
  get version(): Version {
    const { layout, generation, versions } = this;
    const { step, lineage, phase } = versions;
    return {
      id: { generation, lineage, step },
      phase: phaseOf(phase),
      segments: segmentNames.map((segment) => {
        const { changedAtStep, ring } = versions.segment(segment);
        const file = this.shared === null ? '' : `${segment}.${ring}`;
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

  /** Files of the rings that are about to be written hold no version until {@link written}. */
  writing(segments: readonly SegmentName[], ring: RingFiles): void {
    for (const segment of segments) this.shared?.stamp(segment, ring[segment] ?? 0, null);
  }

  /** They hold the current version. */
  written(segments: readonly SegmentName[], ring: RingFiles): void {
    const { lineage, step } = this.versions;
    const stamp = { generation: this.generation, lineage, changedAtStep: step };
    for (const segment of segments) this.shared?.stamp(segment, ring[segment] ?? 0, stamp);
  }
}

import type { VersionId } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { type ParameterLayout, type SegmentName, type Segments } from '@showtell/shared/tensors/layout.js';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';

/** Values of one segment and the version that brought them forth. */
interface HeldSegment {
  readonly values: Float32Array;
  /** Generation, lineage and step; null before the first version. */
  readonly origin: string | null;
}

/**
 * The parameters a worker holds. They are replaced segment by segment only when a version is whole; a segment that did
 * not change stays the same array, and the values before stay unwritten until the version after next is read.
 */
export class ParameterStore {
  readonly #layout: ParameterLayout;
  readonly #held = new Map<SegmentName, HeldSegment>();
  readonly #spare = new Map<SegmentName, Float32Array>();

  constructor(layout: ParameterLayout) {
    this.#layout = layout;
  }

  /** Whether the segment's values are those that `origin` brought forth. */
  holds(segment: SegmentName, origin: string): boolean {
    return this.#held.get(segment)?.origin === origin;
  }

  /** Memory for new values of a segment, written by nobody else. */
  spare(segment: SegmentName): Float32Array {
    const spare = this.#spare.get(segment);
    if (spare !== undefined) return spare;
    const elements = this.#layout.elements[segment];
    const values = new Float32Array(allocateShared(elements * 4), 0, elements);
    this.#spare.set(segment, values);
    return values;
  }

  /** Takes the spare memory of these segments as their values, all at once. */
  replace(origins: ReadonlyMap<SegmentName, string>): void {
    for (const [segment, origin] of origins) {
      const before = this.#held.get(segment);
      this.#held.set(segment, { values: this.spare(segment), origin });
      if (before === undefined) this.#spare.delete(segment);
      else this.#spare.set(segment, before.values);
    }
  }

  get segments(): Segments {
    const values = (segment: SegmentName): Float32Array => {
      const held = this.#held.get(segment);
      if (held === undefined) throw new Error(`no version of segment ${segment} was read yet`);
      return held.values;
    };
    return {
      decoder: values('decoder'),
      embedding: values('embedding'),
      encoder: values('encoder'),
      statistics: values('statistics'),
    };
  }
}

/** What a segment's values are known by: steps repeat after a rollback, lineages do not. */
export function originOf(id: Pick<VersionId, 'generation' | 'lineage'>, changedAtStep: number): string {
  return `${id.generation}/${id.lineage}/${changedAtStep}`;
}

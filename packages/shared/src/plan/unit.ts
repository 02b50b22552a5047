import type { RecordRef } from '../data/dataset.js';

/** One unit of a step's work: records and a seed, nothing of a worker or a clock. */
export interface TrainingUnit {
  readonly step: number;
  /** Leaf of the summing tree: 0 to `batch.units` − 1. */
  readonly index: number;
  readonly records: readonly RecordRef[];
  /** uint32: all of the unit's augmentation and dropout is drawn from it. */
  readonly seed: number;
}

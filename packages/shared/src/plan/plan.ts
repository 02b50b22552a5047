import type { RecordRef, Split } from '../data/dataset.js';
import type { Job } from '../job/job.js';
import { random } from '../random.js';
import { epochOrder } from './epoch.js';
import type { TrainingUnit } from './unit.js';

/** A split as far as plans need it. */
export type PlannedSplit = Pick<Split, 'count' | 'record'>;

/**
 * Which records each step's units hold: a pure function of job, data and step.
 *
 * The stream of records is the concatenation of epoch permutations, so every unit is full and each record comes once an
 * epoch. No clock, no worker and no order of arrival enters it.
 */
export class Plan {
  /** Orders of the epochs last asked for; a step may straddle two. */
  private readonly orders = new Map<number, Uint32Array>();

  constructor(
    private readonly job: Job,
    private readonly split: PlannedSplit,
  ) {}

  /** The epoch a position of the stream lies in, and the record there. */
  private recordAt(position: number): RecordRef {
    const epoch = Math.floor(position / this.split.count);
    let order = this.orders.get(epoch);
    if (order === undefined) {
      order = epochOrder(this.job.seed, epoch, this.split.count);
      for (const known of this.orders.keys()) if (known < epoch - 1) this.orders.delete(known);
      this.orders.set(epoch, order);
    }
    return this.split.record(order[position - epoch * this.split.count] ?? 0);
  }

  /** The units of a step, in index order. */
  units(step: number): TrainingUnit[] {
    const { examples, units } = this.job.batch;
    const perUnit = examples / units;
    return Array.from({ length: units }, (_, index) => ({
      step,
      index,
      records: Array.from({ length: perUnit }, (_, i) => this.recordAt(step * examples + index * perUnit + i)),
      seed: random(this.job.seed, 'unit', step, index).uint32(),
    }));
  }

  /** Epochs begun and done after `steps` steps, as a fraction. */
  epochs(steps: number): number {
    return (steps * this.job.batch.examples) / this.split.count;
  }
}

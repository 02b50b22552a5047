import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Job } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { epochOrder } from '@showtell/shared/plan/epoch.js';
import { Plan, type PlannedSplit } from '@showtell/shared/plan/plan.js';

/** A split whose record i stands at offset i. */
function splitOf(count: number): PlannedSplit {
  return {
    count,
    record: (i) => {
      if (i < 0 || i >= count) throw new RangeError(`no record ${i}`);
      return { shard: i % 3, offset: i, length: 10 };
    },
  };
}

function jobOf(examples: number, units: number, seed = 1): Job {
  return parseJob({ seed, batch: { examples, units } });
}

function offsets(plan: Plan, step: number): number[] {
  return plan.units(step).flatMap((unit) => unit.records.map((record) => record.offset));
}

describe('Plan', () => {
  it('has the job’s units, full and numbered', () => {
    const units = new Plan(jobOf(12, 3), splitOf(7)).units(5);
    expect(units.map(({ step, index, records }) => [step, index, records.length])).toEqual([
      [5, 0, 4],
      [5, 1, 4],
      [5, 2, 4],
    ]);
  });

  it('gives the same step whatever was asked before, in any order', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 12 }),
        fc.integer({ min: 0, max: 200 }),
        (count, before, step) => {
          const job = jobOf(8, 2);
          const asked = new Plan(job, splitOf(count));
          for (const other of before) asked.units(other);
          expect(asked.units(step)).toEqual(new Plan(job, splitOf(count)).units(step));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('visits each record once an epoch, also where a step straddles two', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 0xffff_ffff }),
        (count, perUnit, units, seed) => {
          const job = jobOf(perUnit * units, units, seed);
          const plan = new Plan(job, splitOf(count));
          const steps = Math.ceil((3 * count) / job.batch.examples);
          const stream = Array.from({ length: steps }, (_, step) => offsets(plan, step)).flat();
          for (let epoch = 0; epoch < 3; epoch++) {
            const visited = stream.slice(epoch * count, (epoch + 1) * count);
            expect(new Set(visited).size).toBe(count);
            expect(visited).toEqual([...epochOrder(seed, epoch, count)]);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('orders each epoch anew, and another seed otherwise', () => {
    const orders = [epochOrder(1, 0, 100), epochOrder(1, 1, 100), epochOrder(2, 0, 100)].map(String);
    expect(new Set(orders).size).toBe(3);
  });

  it('gives every unit a seed of its own', () => {
    const plan = new Plan(jobOf(8, 4), splitOf(100));
    const seeds = Array.from({ length: 500 }, (_, step) => plan.units(step).map((unit) => unit.seed)).flat();
    expect(new Set(seeds).size).toBe(2000);
    expect(new Set(new Plan(jobOf(8, 4, 2), splitOf(100)).units(0).map((unit) => unit.seed))).not.toEqual(
      new Set(seeds.slice(0, 4)),
    );
  });

  it('counts epochs', () => {
    const plan = new Plan(jobOf(10, 2), splitOf(40));
    expect([0, 2, 4, 10].map((steps) => plan.epochs(steps))).toEqual([0, 0.5, 1, 2.5]);
  });

  /** Another hash here is another training: runs that were begun before could not go on with the same bits. */
  it('plans the first hundred steps of a job as it always did', () => {
    const plan = new Plan(jobOf(32, 4, 7), splitOf(1_000));
    const hash = createHash('sha256');
    for (let step = 0; step < 100; step++) hash.update(JSON.stringify(plan.units(step)));
    expect(hash.digest('hex')).toBe('f7627ad148bdea93c706946865076bb0b6c9fb98a2ccdee56b508bc6cfec9099');
  });
});

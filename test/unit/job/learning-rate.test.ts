import { describe, expect, it } from 'vitest';
import { learningRate } from '@showtell/shared/job/learning-rate.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { trainedSegments } from '@showtell/shared/job/phases.js';

describe('learningRate', () => {
  it("is im2txt's staircase in the decoder-only phase", () => {
    const job = parseJob(null);
    for (const [step, rate] of [
      [0, 2],
      [146_589, 2],
      [146_590, 1],
      [293_179, 1],
      [293_180, 0.5],
      [999_999, 2 / 64],
    ] as const)
      expect(learningRate(job, 'decoder-only', step)).toBe(rate);
  });

  it("is constant in im2txt's joint phase", () => {
    const job = parseJob(null);
    expect([0, 1, 1_999_999].map((step) => learningRate(job, 'joint', step))).toEqual([0.0005, 0.0005, 0.0005]);
  });

  it('multiplies one decay at a time, so that no power function decides the bits', () => {
    const job = parseJob({ phases: { joint: { learningRate: 0.1, decay: { factor: 0.3, everySteps: 5 } } } });
    expect(learningRate(job, 'joint', 15)).toBe(0.1 * 0.3 * 0.3 * 0.3);
    expect(learningRate(job, 'joint', 14)).toBe(0.1 * 0.3 * 0.3);
  });
});

describe('trainedSegments', () => {
  it('leaves the encoder alone in the decoder-only phase', () => {
    expect(trainedSegments('decoder-only')).toEqual(['decoder', 'embedding']);
    expect(trainedSegments('joint')).toEqual(['decoder', 'embedding', 'encoder', 'statistics']);
  });
});

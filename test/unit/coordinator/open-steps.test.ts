import { describe, expect, it } from 'vitest';
import { openSteps } from '@showtell/coordinator/open-steps.js';

const at = (step: number, missing: readonly number[] = [], switchedAt: number | null = null) => ({
  ...{ step, missing, switchedAt },
  phase: switchedAt === null ? ('decoder-only' as const) : ('joint' as const),
});
const never = (): boolean => false;

describe('a synchronous run', () => {
  const job = { asynchronous: null, cluster: { lookAhead: 3 } };

  it('opens what the look-ahead reaches, decisions or not, each step on its own version', () => {
    const open = openSteps(job, at(5), 0, 100, 0, () => true);
    expect(open.until).toBe(9);
    expect(open.oldestVersion(7)).toBe(7);
    expect(openSteps(job, at(5), 0, 6, 0, never).until).toBe(6);
  });
});

describe('an asynchronous run', () => {
  const job = { asynchronous: { maxStaleness: 9, warmStartSteps: 0 }, cluster: { lookAhead: 3 } };

  it('opens half as many units as updates are allowed, behind the first that is not applied', () => {
    expect(openSteps(job, at(5), 0, 100, 0, never).until).toBe(10);
    expect(openSteps(job, at(5, [3, 4]), 0, 100, 0, never).until).toBe(8);
    expect(openSteps(job, at(5), 0, 7, 0, never).until).toBe(7);
  });

  it('lets a unit be computed with versions as far back, none from before a decision', () => {
    const { oldestVersion } = openSteps(job, at(20), 0, 100, 18, never);
    expect([19, 22, 24].map(oldestVersion)).toEqual([18, 18, 20]);
  });

  it('looks for a decision only among the steps that it opens now', () => {
    const asked: number[] = [];
    const open = openSteps(job, at(5), 9, 100, 0, (step) => asked.push(step) < 0);
    expect(open.until).toBe(10);
    expect(asked).toEqual([9]);
    // What stayed closed because it is decided at stays so until it is.
    expect(openSteps(job, at(5), 8, 100, 0, (step) => step === 8).until).toBe(8);
    expect(openSteps(job, at(8), 8, 100, 8, (step) => step === 8).until).toBe(13);
  });

  it('opens nothing beyond the next decision', () => {
    expect(openSteps(job, at(5), 0, 100, 0, (step) => step === 8).until).toBe(8);
    // The one at this very step has been taken.
    expect(openSteps(job, at(5), 0, 100, 5, (step) => step === 5).until).toBe(10);
  });

  it('takes the first updates of each phase one after the other', () => {
    const warm = { ...job, asynchronous: { maxStaleness: 9, warmStartSteps: 4 } };
    expect(openSteps(warm, at(3), 0, 100, 0, never)).toMatchObject({ until: 4 });
    expect(openSteps(warm, at(3), 0, 100, 0, never).oldestVersion(3)).toBe(3);
    expect(openSteps(warm, at(4), 0, 100, 0, never).until).toBe(9);
    expect(openSteps(warm, at(33, [], 30), 0, 100, 30, never).until).toBe(34);
    expect(openSteps(warm, at(34, [], 30), 0, 100, 30, never).until).toBe(39);
  });
});

import { describe, expect, it } from 'vitest';
import { Phase, type Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Unit, UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { isDue, isStale } from '@showtell/worker/what-to-hold.js';

const version = (step: number, phase = Phase.PHASE_JOINT, lineage = 1): Version => ({
  id: { generation: 1, lineage, step },
  phase,
  segments: [],
});
const undecided = (step: number): Version => version(step, Phase.PHASE_UNSPECIFIED);
const id = (step: number, more: Partial<UnitId> = {}): UnitId => ({
  ...{ run: 'r', generation: 1, lineage: 1, step, index: 0, attempt: 1, evaluation: false },
  ...more,
});
const unit = (step: number, oldestVersion = step): Pick<Unit, 'work'> & { id: UnitId } => ({
  id: id(step),
  work: { $case: 'training', value: { records: [], seed: 0, oldestVersion } },
});

describe('where a step counts what was computed with its own version', () => {
  it('a unit is due with that one, once its phase is decided, and stale with a later one', () => {
    expect([4, 5, 6].map((step) => isDue(unit(5), version(step), null))).toEqual([false, true, false]);
    expect(isDue(unit(5), undecided(5), null)).toBe(false);
    expect(isDue({ id: id(5, { evaluation: true }), work: undefined }, undecided(5), null)).toBe(true);
    expect([4, 5, 6].map((step) => isStale(id(5), version(step), null))).toEqual([false, false, true]);
    expect(isStale(id(9), version(5, Phase.PHASE_JOINT, 2), null)).toBe(true);
  });
});

describe('where each unit is applied as it comes', () => {
  const window = 3;

  it('a unit is due with any version that is not too old for it, whether or not it is the newest', () => {
    expect([1, 2, 5, 9].map((step) => isDue(unit(5, 2), version(step), window))).toEqual([false, true, true, true]);
    expect(isDue(unit(5, 2), undecided(5), window)).toBe(false);
    expect(isDue(unit(5, 2), version(5, Phase.PHASE_JOINT, 2), window)).toBe(false);
  });

  it('is stale only when it is applied for certain: far behind, or before a decision', () => {
    expect([6, 8, 9].map((step) => isStale(id(5), version(step), window))).toEqual([false, false, true]);
    // It may have been offered again before, and nobody could take what is to be evaluated if it stayed.
    expect(isStale(id(5), undecided(6), window)).toBe(true);
    expect(isStale(id(6, { evaluation: true }), undecided(6), window)).toBe(false);
  });
});

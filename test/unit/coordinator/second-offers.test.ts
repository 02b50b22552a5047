import { describe, expect, it } from 'vitest';
import { secondOffers, type AwaitedUnit } from '@showtell/coordinator/second-offers.js';
import { overdueMs, UnitTimes } from '@showtell/coordinator/unit-times.js';

const unit = (key: string, more: Partial<AwaitedUnit> = {}): AwaitedUnit => ({
  ...{ key, kind: 'joint', holders: ['slow'], triedBy: [], since: 0 },
  ...more,
});
const second = (): number => 1_000;

describe('a unit that lags', () => {
  it('is offered to an idle worker, once it has been waited for longer than the threshold', () => {
    expect(secondOffers([unit('a')], ['b'], second, 1_000)).toEqual([]);
    expect(secondOffers([unit('a')], ['b'], second, 1_001)).toEqual([{ key: 'a', worker: 'b', waitedMs: 1_001 }]);
  });

  it('is never offered to one that holds it, nor twice to the same', () => {
    expect(secondOffers([unit('a')], ['slow'], second, 9_000)).toEqual([]);
    expect(secondOffers([unit('a', { triedBy: ['b'] })], ['b'], second, 9_000)).toEqual([]);
    expect(secondOffers([unit('a', { triedBy: ['b'] })], ['b', 'c'], second, 9_000)).toMatchObject([{ worker: 'c' }]);
  });

  it('goes to the fittest, the longest awaited first, one to each worker', () => {
    const awaited = [unit('young', { since: 500 }), unit('old'), unit('middle', { since: 100 })];
    expect(secondOffers(awaited, ['b', 'c'], second, 9_000)).toMatchObject([
      { key: 'old', worker: 'b' },
      { key: 'middle', worker: 'c' },
    ]);
  });

  it('leaves as many workers free as there are units that nobody has taken yet', () => {
    const awaited = [unit('a'), unit('open', { holders: [], since: 8_500 })];
    expect(secondOffers(awaited, ['b'], second, 9_000)).toEqual([]);
    expect(secondOffers(awaited, ['b', 'c'], second, 9_000)).toMatchObject([{ key: 'a', worker: 'b' }]);
  });

  it('may be one that nobody is known to hold: it went to a worker that stood still before it said so', () => {
    const lost = unit('lost', { holders: [], since: 100 });
    expect(secondOffers([lost], ['b'], second, 1_100)).toEqual([]);
    expect(secondOffers([lost], ['b'], second, 1_101)).toMatchObject([{ key: 'lost', worker: 'b' }]);
    expect(secondOffers([unit('a'), lost], ['b', 'c'], second, 9_000)).toMatchObject([{ key: 'a' }, { key: 'lost' }]);
  });

  it('is measured by its own kind', () => {
    const awaited = [unit('a'), unit('e', { kind: 'captions' })];
    const overdue = (kind: string): number => (kind === 'captions' ? 10 : 1e6);
    expect(secondOffers(awaited, ['b', 'c'], overdue, 1_000)).toMatchObject([{ key: 'e' }]);
  });
});

describe('the threshold', () => {
  it('is a multiple of the median, at least half a second, and infinite where nothing is known or wanted', () => {
    expect(overdueMs(1_000, 3)).toBe(3_000);
    expect(overdueMs(10, 3)).toBe(500);
    expect(overdueMs(null, 3)).toBe(Infinity);
    expect(overdueMs(1_000, null)).toBe(Infinity);
  });

  it('follows the last units of a kind, and one that took for ever does not move it', () => {
    const times = new UnitTimes();
    for (let i = 0; i < 7; i++) times.add('joint', 100);
    expect(times.median('joint')).toBeNull();
    times.add('joint', 1e6);
    expect(times.median('joint')).toBe(100);
    expect(times.median('decoder-only')).toBeNull();
    for (let i = 0; i < 64; i++) times.add('joint', 300);
    expect(times.median('joint')).toBe(300);
  });
});

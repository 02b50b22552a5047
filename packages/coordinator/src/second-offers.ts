import type { UnitKind } from './unit-times.js';

/** A unit that the current work waits for. */
export interface AwaitedUnit {
  readonly key: string;
  readonly kind: UnitKind;
  readonly holders: readonly string[];
  /** Workers to which it was offered because another lags. */
  readonly triedBy: readonly string[];
  /** Since when the last of all these can have been computing it, in ms. */
  readonly since: number;
}

export interface SecondOffer {
  readonly key: string;
  readonly worker: string;
  /** How long it has been waited for, in ms. */
  readonly waitedMs: number;
}

/**
 * Which units that lag are offered to whom: the longest awaited first, each to one worker that has nothing to do for the
 * current work, never to one that holds it or had such an offer before. One that nobody holds lags too, if idle workers have
 * not taken it for so long: it went to a worker that stood still before it could say so.
 *
 * @param idle the fittest first. As many of them as there are units that nobody holds yet are left to take those.
 * @param overdueMs after how long a unit lags
 */
export function secondOffers(
  awaited: readonly AwaitedUnit[],
  idle: readonly string[],
  overdueMs: (kind: UnitKind) => number,
  now: number,
): SecondOffer[] {
  const lags = ({ kind, since }: AwaitedUnit): boolean => now - since > overdueMs(kind);
  const open = awaited.filter((unit) => unit.holders.length === 0 && !lags(unit)).length;
  const free = idle.slice(0, Math.max(0, idle.length - open));
  const lagging = awaited.filter(lags).sort((a, b) => a.since - b.since);
  const offers: SecondOffer[] = [];
  for (const { key, holders, triedBy, since } of lagging) {
    const at = free.findIndex((worker) => !holders.includes(worker) && !triedBy.includes(worker));
    const [worker] = at < 0 ? [] : free.splice(at, 1);
    if (worker !== undefined) offers.push({ key, worker, waitedMs: now - since });
  }
  return offers;
}

import type { Job } from './job.js';

/**
 * Bounded staleness of the asynchronous mode. Units are numbered in the order of the plan, one to a step. While `f` is the
 * first that is not applied, none after `f` + {@link openWindow} is open; and each is computed with a version that is at
 * most as many updates behind its own number. So of a unit `j` computed with version `v` and applied to version `c`:
 * `v >= j - window`, and `c <= j + window`, since all that is applied lies within the window. Hence
 * `c - v <= 2 * window <= maxStaleness`, whatever the workers do.
 */

/** Units that may be open beside the first that is not applied. */
export function openWindow({ maxStaleness }: NonNullable<Job['asynchronous']>): number {
  return Math.floor(maxStaleness / 2);
}

/** The oldest version that unit `step` may be computed with. */
export function oldestVersion(step: number, window: number, decidedAt: number): number {
  return Math.max(decidedAt, step - window, 0);
}

/** Whether unit `step` is applied for certain once version `current` is there. */
export function isSurelyApplied(step: number, current: number, window: number): boolean {
  return current > step + window;
}

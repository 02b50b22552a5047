import { isSurelyApplied } from '@showtell/shared/job/asynchronous.js';
import { Phase, type Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Unit, UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { HeldUnit } from './held-units.js';

/**
 * Units that may be open beside the first that is not applied, where each is applied as it comes; null where a step counts
 * what was computed with its own version.
 */
export type Window = number | null;

/** Whether a unit may be computed with this version; until its phase is decided, only evaluations are. */
export function isDue(
  { id, work }: Pick<Unit, 'work'> & { readonly id: UnitId },
  version: Version,
  window: Window,
): boolean {
  if (id.evaluation) return isOf(id, version);
  if (version.id === undefined || version.phase === Phase.PHASE_UNSPECIFIED) return false;
  if (window === null) return isOf(id, version);
  // It may be older than the newest, if it belongs to the unit's phase.
  const oldest = work?.$case === 'training' ? work.value.oldestVersion : Infinity;
  return id.lineage === version.id.lineage && version.id.step >= oldest;
}

/** Whether a unit is of this version, due or not. */
export function isOf(unit: UnitId, { id }: Version): boolean {
  return id !== undefined && unit.lineage === id.lineage && unit.step === id.step;
}

/** Whether no step needs a unit any more. */
export function isStale({ lineage, step, evaluation }: UnitId, { id, phase }: Version, window: Window): boolean {
  if (id === undefined) return false;
  if (lineage !== id.lineage) return lineage < id.lineage;
  // All before a decision are applied: one that was offered again must not be in the way of what is evaluated.
  const isDecided = phase !== Phase.PHASE_UNSPECIFIED;
  return window === null || evaluation || !isDecided ? step < id.step : isSurelyApplied(step, id.step, window);
}

/**
 * The unit that a worker gives back because it holds more than it has room for: the farthest, unless the current step
 * waits for it. Where each is applied as it comes, all are waited for.
 *
 * @param waiting by urgency
 * @param step the current one
 */
export function excess(waiting: readonly HeldUnit[], room: number, step: number, window: Window): HeldUnit | null {
  const farthest = waiting.at(-1);
  if (window !== null || farthest === undefined || waiting.length <= room) return null;
  return farthest.lease.unit.id.step > step ? farthest : null;
}

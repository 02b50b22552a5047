import type { Lease } from '@showtell/shared/bus/unit-queue.js';
import type { UnitOffer } from '@showtell/shared/generated/showtell/v1/parameters.js';

/**
 * What a worker holds of a unit that another one is slow with. The broker knows nothing of it, so it is told nothing: the
 * other's lease is what keeps the unit from being lost.
 */
export function secondLease({ unit, trace }: UnitOffer): Lease | null {
  if (unit?.id === undefined) return null;
  const nothing = (): void => undefined;
  return {
    unit: { ...unit, id: unit.id },
    lane: 'now',
    trace,
    extend: nothing,
    acknowledge: nothing,
    giveBack: nothing,
  };
}

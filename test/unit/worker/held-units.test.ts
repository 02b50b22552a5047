import { expect, it } from 'vitest';
import type { Lease } from '@showtell/shared/bus/unit-queue.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { noSpan } from '@showtell/shared/service/tracing.js';
import { HeldUnits } from '@showtell/worker/held-units.js';
import type { PreparedUnit } from '@showtell/worker/input/prepare-unit.js';

const idOf = (attempt: number, more: Partial<UnitId> = {}): UnitId => ({
  ...{ run: 'r', generation: 1, lineage: 1, step: 3, index: 0, attempt, evaluation: false },
  ...more,
});

it('of a unit that waits a second offer is one too many, of one that is computed it is not', () => {
  const acknowledged: number[] = [];
  const taken: number[] = [];
  const leaseOf = (id: UnitId): Lease => ({
    unit: { id, jobSha256: 'j', work: undefined },
    ...{ lane: 'now', trace: {} },
    extend: () => undefined,
    acknowledge: () => void acknowledged.push(id.attempt),
    giveBack: () => undefined,
  });
  using held = new HeldUnits(30, { taken: (id) => void taken.push(id.attempt), returned: () => undefined });
  const add = (id: UnitId): void => held.add(leaseOf(id), Promise.resolve({} as PreparedUnit), noSpan);

  expect(held.takeAgain(leaseOf(idOf(1)))).toBe(false);
  add(idOf(1));
  expect(held.takeAgain(leaseOf(idOf(2)))).toBe(true);
  // Whoever offers it knows that this one has it, and by which offer.
  expect([acknowledged, taken]).toEqual([[1], [1, 2]]);
  expect(held.waiting.map(({ lease }) => lease.unit.id.attempt)).toEqual([2]);
  for (const other of [{ step: 4 }, { index: 1 }, { lineage: 2 }, { evaluation: true }])
    expect(held.takeAgain(leaseOf(idOf(3, other)))).toBe(false);

  const [unit] = held.waiting;
  if (unit === undefined) throw new Error('it does not wait');
  held.begin(unit);
  expect(held.has(idOf(3))).toBe(true);
  expect(held.takeAgain(leaseOf(idOf(3)))).toBe(false);
});

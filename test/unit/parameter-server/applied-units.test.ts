import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AppliedUnits } from '@showtell/coordinator/parameter-server/applied-units.js';

const by = { worker: 'w', attempt: 1 };

it('knows what lies before the last one and is not applied', () => {
  const applied = new AppliedUnits(0, []);
  expect(applied).toMatchObject({ next: 0, missing: [] });
  applied.add(2, by);
  expect(applied).toMatchObject({ next: 3, missing: [0, 1] });
  applied.add(0, by);
  expect(applied.missing).toEqual([1]);
  expect([0, 1, 2, 3].map((unit) => applied.has(unit))).toEqual([true, false, true, false]);
  applied.add(1, { worker: 'v', attempt: 2 });
  expect(applied).toMatchObject({ next: 3, missing: [] });
  expect(applied.by(1)).toEqual({ worker: 'v', attempt: 2 });
});

it('goes on from what a checkpoint has: five updates, of which unit 3 is not one', () => {
  const applied = new AppliedUnits(5, [3]);
  expect(applied.next).toBe(6);
  expect([2, 3, 4, 5, 6].map((unit) => applied.has(unit))).toEqual([true, false, true, true, false]);
  expect(applied.by(2)).toBeNull();
  expect(() => applied.add(4, by)).toThrow('unit 4 is applied already');
});

it('is the same whether it went on from a checkpoint at any update or not', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([...Array(12).keys()]), fc.nat(12), (order, at) => {
      const whole = new AppliedUnits(0, []);
      for (const unit of order.slice(0, at)) whole.add(unit, by);
      const resumed = new AppliedUnits(Math.min(at, order.length), whole.missing);
      for (const unit of order.slice(at)) {
        whole.add(unit, by);
        resumed.add(unit, by);
      }
      expect([resumed.next, resumed.missing]).toEqual([whole.next, whole.missing]);
      for (let unit = 0; unit < 13; unit++) expect(resumed.has(unit)).toBe(order.includes(unit));
    }),
  );
});

it('forgets who computed a unit long ago, and never that it is applied', () => {
  const applied = new AppliedUnits(0, []);
  for (let unit = 0; unit < 5_000; unit++) applied.add(unit, by);
  expect(applied.by(10)).toBeNull();
  expect(applied.has(10)).toBe(true);
  expect(applied.by(4_999)).toEqual(by);
});

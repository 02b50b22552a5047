import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, count, duration, seconds, short } from '@showtell/coordinator/dashboard/page/format.js';
import { partNames } from '@showtell/coordinator/dashboard/page/payload.js';
import { isWhole, moved, within, zoomed } from '@showtell/coordinator/dashboard/page/plot-range.js';
import { append, stackedParts, type StepColumns } from '@showtell/coordinator/dashboard/page/steps.js';

describe('the range that plots show', () => {
  const all = { min: 0, max: 1000 };

  it('never leaves what there is, and keeps its width as far as that goes', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -2000, max: 2000, noNaN: true }),
        fc.double({ min: 0, max: 3000, noNaN: true }),
        (min, width) => {
          const found = within({ min, max: min + width }, all);
          expect(found.min).toBeGreaterThanOrEqual(0);
          expect(found.max).toBeLessThanOrEqual(1000);
          expect(found.max - found.min).toBeCloseTo(Math.min(1000, Math.max(4, width)), 6);
        },
      ),
    );
  });

  it('is zoomed around its middle and moved by its width', () => {
    expect(zoomed({ min: 400, max: 600 }, 0.5, all)).toEqual({ min: 450, max: 550 });
    expect(zoomed({ min: 0, max: 200 }, 2, all)).toEqual({ min: 0, max: 400 });
    expect(isWhole(zoomed({ min: 100, max: 900 }, 2, all), all)).toBe(true);
    expect(moved({ min: 400, max: 600 }, 0.5, all)).toEqual({ min: 500, max: 700 });
    expect(moved({ min: 900, max: 1000 }, 0.5, all)).toEqual({ min: 900, max: 1000 });
  });
});

it('stacks the parts of a step, few enough bars to be told apart', () => {
  const empty = (): StepColumns['loss'] => ({ mean: [], low: [], high: [] });
  const parts = Object.fromEntries(partNames.map((name) => [name, []])) as unknown as StepColumns['parts'];
  const columns: StepColumns = { steps: [], loss: empty(), seconds: empty(), images: empty(), parts };
  append(
    columns,
    Array.from({ length: 200 }, (_, i) => [i + 1, 1, 15, 2, 1, 2, 3, 4, i < 190 ? 5 : null] as const),
  );
  const [middles, ...tops] = stackedParts(columns, { min: 101, max: 200 }, 10);
  expect(middles).toHaveLength(10);
  expect(middles[0]).toBe(105.5);
  expect(tops.map((column) => column[0])).toEqual([1, 3, 6, 10, 15]);
  expect(tops.map((column) => column[9])).toEqual([1, 3, 6, 10, null]);
});

it('tells numbers as people read them', () => {
  expect([1, 1234, 1234567].map(count)).toEqual(['1', '1,234', '1,234,567']);
  expect([0, 0.01234, 1.234, 12.34, 123.4, 12345].map(short)).toEqual([
    '0.00',
    '0.0123',
    '1.23',
    '12.3',
    '123',
    '12,345',
  ]);
  expect([0.00002, 0.25, 1.5, 90, 7200].map(seconds)).toEqual(['20.0 µs', '250 ms', '1.50 s', '90.0 s', '2 h 0 min']);
  expect([12, 90, 5400, 360000].map(duration)).toEqual(['12 s', '2 min', '1 h 30 min', '4 d 4 h']);
  expect([12, 13_200_000, 2e12].map(bytes)).toEqual(['12 B', '13.2 MB', '2,000 GB']);
});

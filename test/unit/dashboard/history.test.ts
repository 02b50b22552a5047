import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { History, type HistoryStep } from '@showtell/coordinator/dashboard/history.js';

const parts = { compute: 0.5, data: 0.1, exchange: 0.2, update: 0.1, wait: 0.1 };

function step(number: number, more: Partial<HistoryStep> = {}): HistoryStep {
  return { step: number, loss: number, seconds: 2, examples: 32, parts, ...more };
}

function historyOf(steps: readonly HistoryStep[]): History {
  const history = new History();
  for (const one of steps) history.add(one);
  return history;
}

describe('the history of a run', () => {
  it('gives each step by itself where there is room', () => {
    const part = historyOf([step(1), step(2), step(3, { loss: NaN, parts: null })]).part(1, 3, 10);
    expect(part).toMatchObject({ count: 3, first: 1, last: 3, stretch: 1, steps: [1, 2, 3] });
    expect(part.loss).toEqual({ mean: [1, 2, null], low: [1, 2, null], high: [1, 2, null] });
    expect(part.images.mean).toEqual([16, 16, 16]);
    expect(part.parts.compute).toEqual([0.5, 0.5, null]);
  });

  it('loses no extreme, whatever it is thinned to', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9999 }), { minLength: 1, maxLength: 300 }),
        fc.integer({ min: 1, max: 50 }),
        (losses, stretches) => {
          const part = historyOf(losses.map((loss, i) => step(i + 1, { loss }))).part(0, losses.length, stretches);
          expect(part.steps.length).toBeLessThanOrEqual(stretches);
          expect(part.steps.at(-1)).toBe(losses.length);
          expect(Math.min(...(part.loss.low as number[]))).toBe(Math.min(...losses));
          expect(Math.max(...(part.loss.high as number[]))).toBe(Math.max(...losses));
          for (const [i, mean] of part.loss.mean.entries()) {
            expect(mean).toBeGreaterThanOrEqual(part.loss.low[i]! - 1);
            expect(mean).toBeLessThanOrEqual(part.loss.high[i]! + 1);
          }
        },
      ),
    );
  });

  it('has of a stretch the mean of its steps, and of images a second that of its time', () => {
    const part = historyOf([step(1, { seconds: 1 }), step(2, { seconds: 3 })]).part(0, 2, 1);
    expect(part).toMatchObject({ stretch: 2, steps: [2] });
    expect(part.seconds).toEqual({ mean: [2], low: [1], high: [3] });
    expect(part.images).toEqual({ mean: [16], low: [10.667], high: [32] });
  });

  it('has of a range its steps alone', () => {
    const history = historyOf(Array.from({ length: 5000 }, (_, i) => step(i + 1)));
    expect(history.part(100, 104, 600).steps).toEqual([100, 101, 102, 103, 104]);
    expect(history.part(6000, 7000, 600)).toMatchObject({ steps: [], last: 5000 });
    expect(history.rowsAfter(4998).map(([number]) => number)).toEqual([4999, 5000]);
  });

  it('goes back when a step comes again, and says so by its revision', () => {
    const history = historyOf([step(1), step(2), step(3)]);
    const before = history.revision;
    history.add(step(2, { loss: 7 }));
    expect(history.revision).toBeGreaterThan(before);
    expect(history.part(0, 9, 9)).toMatchObject({ steps: [1, 2], last: 2, loss: { mean: [1, 7] } });
  });
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { stepParts } from '@showtell/coordinator/step-parts.js';

const unit = (worker: string, computeSeconds: number, dataSeconds = 0) => ({
  ...{ step: 0, index: 0, staleness: null, attempt: 1, examples: 8, tokens: 8, lossSum: 1, skipped: [] },
  ...{ worker, computeSeconds, dataSeconds },
});

it('has the busiest worker, all its units together', () => {
  const accepted = [unit('a', 1, 0.5), unit('a', 1), unit('b', 1.5)];
  const seconds = { wait: 0, sum: 0.25, update: 0.5, publish: 0.25 };
  expect(stepParts({ accepted, seconds }, 4)).toEqual({ data: 0.5, compute: 2, exchange: 0.5, update: 0.5, wait: 0.5 });
});

it('adds up to the step, whatever was measured beside it', () => {
  const some = fc.double({ min: 0, max: 3, noNaN: true });
  fc.assert(
    fc.property(some, some, some, some, (compute, data, sum, more) => {
      const seconds = { wait: 0, sum, update: 0.1, publish: 0 };
      const total = sum + 0.1 + more;
      const parts = stepParts({ accepted: [unit('a', compute, data)], seconds }, total);
      for (const part of Object.values(parts)) expect(part).toBeGreaterThanOrEqual(0);
      expect(Object.values<number>({ ...parts }).reduce((all, part) => all + part, 0)).toBeCloseTo(total, 9);
    }),
  );
});

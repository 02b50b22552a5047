import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { probability } from '@showtell/worker/caption/print.js';
import { workAhead } from '@showtell/worker/caption/work-ahead.js';

async function* numbers(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield i;
}

it('work ahead is done so many items at a time, and comes in order', async () => {
  let working = 0;
  let most = 0;
  const results: number[] = [];
  const work = async (i: number): Promise<number> => {
    most = Math.max(most, ++working);
    await delay((7 * i) % 5);
    working--;
    return i;
  };
  for await (const result of workAhead(numbers(20), 4, work)) results.push(result);
  expect(results).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(most).toBe(4);
});

it.each([
  [Math.log(0.3412), '34 %'],
  [Math.log(0.00519), '0.52 %'],
  [0, '100 %'],
  [Math.log(3.14e-7), '3.1e-7'],
])('the probability of logarithm %f reads %s', (logarithm, text) => {
  expect(probability(logarithm)).toBe(text);
});

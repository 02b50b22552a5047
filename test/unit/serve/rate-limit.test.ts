import { expect, it } from 'vitest';
import { RateLimit } from '@showtell/worker/serve/rate-limit.js';

it('takes twice the rate at once, then the rate, and says how long to wait', () => {
  const limit = new RateLimit(2);
  const taken = (count: number, now: number): number[] => Array.from({ length: count }, () => limit.take('a', now));
  expect(taken(5, 10)).toEqual([0, 0, 0, 0, 0.5]);
  expect(limit.take('a', 10.25)).toBe(0.25);
  expect(limit.take('a', 10.5)).toBe(0);
  // A refused request costs nothing, and no more than the burst gathers.
  expect(taken(5, 100)).toEqual([0, 0, 0, 0, 0.5]);
});

it('counts each client by itself, and none where the rate is 0', () => {
  const limit = new RateLimit(0.5);
  expect([limit.take('a', 0), limit.take('a', 0), limit.take('b', 0)]).toEqual([0, 2, 0]);
  const none = new RateLimit(0);
  expect(Array.from({ length: 100 }, () => none.take('a', 0))).toEqual(Array.from({ length: 100 }, () => 0));
});

it('forgets clients that have been quiet rather than grow for ever', () => {
  const limit = new RateLimit(0.5);
  limit.take('first', 0);
  expect(limit.take('first', 0)).toBeGreaterThan(0);
  for (let i = 0; i < 10_000; i++) limit.take(`client ${i}`, 0);
  expect(limit.take('first', 0)).toBe(0);
});

import { afterEach, expect, it, vi } from 'vitest';
import { limited } from '@showtell/coordinator/line-limit.js';

afterEach(() => void vi.useRealTimers());

it('writes so many lines of a message a second, and tells with the next how many it left out', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const lines: unknown[] = [];
  const write = (message: string, fields?: object): void => void lines.push([message, fields]);
  const log = limited({ debug: write, info: write, warn: write, error: write }, 2);
  for (let i = 0; i < 5; i++) log.warn('a', { i });
  log.info('b');
  vi.advanceTimersByTime(1_000);
  log.warn('a', { i: 5 });
  log.warn('a', { i: 6 });
  expect(lines).toEqual([
    ['a', { i: 0 }],
    ['a', { i: 1 }],
    ['b', {}],
    ['a', { i: 5, unwritten: 3 }],
    ['a', { i: 6 }],
  ]);
});

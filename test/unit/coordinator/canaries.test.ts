import { expect, it } from 'vitest';
import { Canaries } from '@showtell/coordinator/canaries.js';
import type { Journal } from '@showtell/coordinator/journal.js';

const hash = (digit: string): string => digit.repeat(64);

function canaries() {
  const kept: object[] = [];
  const refused: string[] = [];
  const journal = { of: () => [], append: (entry: object) => kept.push(entry) } as Partial<Journal> as Journal;
  return { made: new Canaries(journal, (worker, graph) => refused.push(`${worker} ${graph}`)), kept, refused };
}

it('has the first hash of a graph, and refuses who computes another', () => {
  const { made, kept, refused } = canaries();
  expect(made.check({ worker: 'a', graph: 'g', sha256: hash('1') })).toMatchObject({ accepted: true });
  expect(made.check({ worker: 'b', graph: 'g', sha256: hash('1') })).toMatchObject({ accepted: true });
  expect(made.check({ worker: 'c', graph: 'g', sha256: hash('2') })).toEqual({
    accepted: false,
    expectedSha256: hash('1'),
  });
  expect([kept.length, refused]).toEqual([1, ['c g']]);
});

it('keeps no more graphs than a run can have, and keeps nobody out who has another', () => {
  const { made, kept } = canaries();
  for (let i = 0; i < 3_000; i++) made.check({ worker: `made-up-${i}`, graph: `graph ${i}`, sha256: hash('1') });
  expect(kept.length).toBe(made.known.size);
  expect(kept.length).toBeLessThan(2_000);
  expect(made.check({ worker: 'a', graph: 'a real one', sha256: hash('2') })).toMatchObject({ accepted: true });
  expect(made.check({ worker: 'a', graph: 'graph 0', sha256: hash('2') })).toMatchObject({ accepted: false });
});

import { expect, it } from 'vitest';
import { evaluationsOf } from '@showtell/coordinator/evaluation/evaluations-of.js';
import type { Journal, JournalEntry } from '@showtell/coordinator/journal.js';
import { parseJob } from '@showtell/shared/job/load-job.js';

const evaluation = (step: number, lossPerWord: number) =>
  ({ type: 'evaluation', step, lineage: 1, phase: 'joint', scores: { lossPerWord } }) as JournalEntry;
const generation = (number: number, fromStep: number | null): JournalEntry => ({
  ...{ type: 'generation', generation: number, fromStep },
});
const journalOf = (entries: JournalEntry[]): Journal =>
  ({ entries, of: (type: string) => entries.filter((entry) => entry.type === type) }) as unknown as Journal;
const losses = (entries: JournalEntry[], asynchronous: object | null): number[] =>
  evaluationsOf(journalOf(entries), parseJob({ name: 'e', asynchronous, batch: { units: 1 } })).map(
    ({ scores }) => scores.lossPerWord,
  );

const entries = [
  generation(1, null),
  evaluation(2, 10),
  evaluation(4, 11),
  evaluation(6, 12),
  generation(2, 4),
  evaluation(6, 13),
  generation(3, 6),
  evaluation(8, 14),
];

it('are all where steps taken again have the bits that they had', () => {
  expect(losses(entries, null)).toEqual([10, 11, 12, 13, 14]);
});

it('are those of versions that were not trained anew after a restart, where that gives other bits', () => {
  expect(losses(entries, {})).toEqual([10, 11, 13, 14]);
  // Nothing had been saved.
  expect(losses([generation(1, null), evaluation(2, 10), generation(2, null), evaluation(2, 15)], {})).toEqual([15]);
});

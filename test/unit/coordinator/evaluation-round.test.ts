import { expect, it } from 'vitest';
import type { Dispatcher } from '@showtell/coordinator/dispatcher.js';
import { EvaluationRound } from '@showtell/coordinator/evaluation/evaluation-round.js';
import type { EvaluationThread } from '@showtell/coordinator/evaluation/evaluation-thread.js';
import { Verdict, type RecordEvaluation } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { EvaluationKind } from '@showtell/shared/generated/showtell/v1/unit.js';

const sound: RecordEvaluation = { imageId: 1, skipped: false, lossSum: 9, tokens: 5, captions: [] };
const caption = { caption: 'a cat', logProbability: -1, wordProbabilities: [0.5] };

function roundOf() {
  const records = [{ shard: 0, offset: 0, length: 9 }];
  const value = { kind: EvaluationKind.EVALUATION_KIND_CAPTIONS, split: 'val', records };
  const evaluation = { work: [{ $case: 'evaluation', value }] } as Partial<EvaluationThread> as EvaluationThread;
  const settled: string[] = [];
  const dispatcher = { evaluate: async () => undefined, settle: (_: unknown, worker: string) => settled.push(worker) };
  const round = new EvaluationRound(evaluation, dispatcher as Partial<Dispatcher> as Dispatcher, 1);
  void round.evaluate(3, 1).catch(() => undefined);
  return { round, settled };
}

const unit = { run: 'r', generation: 1, lineage: 1, step: 3, index: 0, attempt: 1, evaluation: true };

it('takes of each record what a record can have, and nothing else: it decides, and is kept', () => {
  const { round, settled } = roundOf();
  const push = (record: Partial<RecordEvaluation>): Verdict =>
    round.push({ unit, version: unit, worker: 'w', records: [{ ...sound, ...record }] }).verdict;
  for (const wrong of [
    { lossSum: NaN },
    { tokens: 4_000_000_000 },
    { captions: Array.from({ length: 33 }, () => caption) },
    { captions: [{ ...caption, caption: 'a'.repeat(10_000) }] },
    { captions: [{ ...caption, wordProbabilities: Array.from({ length: 2_000 }, () => 1) }] },
  ])
    expect(push(wrong), Object.keys(wrong).join()).toBe(Verdict.VERDICT_INVALID);
  expect(settled).toEqual([]);
  expect(push({ captions: [caption] })).toBe(Verdict.VERDICT_ACCEPTED);
  expect(settled).toEqual(['w']);
});

it('is of this evaluation’s units and version: a unit that trains is not settled by it', () => {
  const { round, settled } = roundOf();
  const push = (of: object, version: object = {}): Verdict =>
    round.push({ unit: { ...unit, ...of }, version: { ...unit, ...version }, worker: 'w', records: [sound] }).verdict;
  expect(push({ evaluation: false })).toBe(Verdict.VERDICT_STALE);
  expect(push({}, { generation: 0 })).toBe(Verdict.VERDICT_STALE);
  expect(push({}, { lineage: 2 })).toBe(Verdict.VERDICT_STALE);
  expect(settled).toEqual([]);
  expect(push({})).toBe(Verdict.VERDICT_ACCEPTED);
});

import { afterAll, beforeAll, expect, it } from 'vitest';
import { EvaluationThread } from '@showtell/coordinator/evaluation/evaluation-thread.js';
import { Evaluation } from '@showtell/coordinator/evaluation/evaluation.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { RecordEvaluation } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { tinyData, tinyJob, type TinyData } from '../../support/coordinator-cluster.js';

let data: TinyData;
beforeAll(async () => {
  data = await tinyData();
});
afterAll(() => data[Symbol.asyncDispose]());

/** What workers would send for the evaluation's units: the right captions, but for the second of each unit. */
function resultsOf(evaluation: Pick<Evaluation, 'work'>): RecordEvaluation[][] {
  return evaluation.work().map((work) => {
    const captions = data.rightCaptions(work.value);
    return work.value.records.map((_, i) => ({
      imageId: 0,
      lossSum: 2.5 + i,
      tokens: 10,
      skipped: false,
      captions: [{ caption: i === 1 ? 'a bus' : (captions[i] ?? ''), logProbability: -1, wordProbabilities: [] }],
    }));
  });
}

it('scores as the evaluation does in its own thread, one after another in the order of asking', async () => {
  const job = tinyJob(data.dataset);
  const here = await Evaluation.open(data.dataset, job);
  await using thread = await EvaluationThread.open(data.dataset.directory, job);
  expect(thread.work).toEqual(here.work());
  expect(thread.unigramLossPerWord).toBe(here.unigramLossPerWord);
  const results = resultsOf(here);
  const others = results.map((unit) => unit.map((record) => ({ ...record, lossSum: 7, captions: [] })));
  const [first, second] = await Promise.all([thread.score(results), thread.score(others)]);
  expect(first).toEqual(here.score(results));
  expect(second).toEqual(here.score(others));
  expect(first.scores.captions?.bleu[0]).toBeGreaterThan(0.1);
  expect(second.scores.captions?.bleu[0]).toBe(0);
});

it('is refused with the error that opening met', async () => {
  const opening = EvaluationThread.open('/nowhere', tinyJob(data.dataset));
  await expect(opening).rejects.toBeInstanceOf(ShowtellError);
  await expect(opening).rejects.toMatchObject({ code: 'data/folder-not-indexed', facts: { directory: '/nowhere' } });
});

it('gives up scores that the end of the run overtakes, and takes no other', async () => {
  const thread = await EvaluationThread.open(data.dataset.directory, tinyJob(data.dataset));
  const results = resultsOf({ work: () => [...thread.work] });
  const scores = Promise.allSettled(Array.from({ length: 5000 }, () => thread.score(results)));
  await thread[Symbol.asyncDispose]();
  const last = (await scores).at(-1);
  expect(last).toMatchObject({ status: 'rejected', reason: { code: 'evaluation/thread-ended' } });
  await expect(thread.score([])).rejects.toMatchObject({ code: 'evaluation/thread-ended' });
});

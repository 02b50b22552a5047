import { parentPort, workerData } from 'node:worker_threads';
import { openData } from '@showtell/shared/bus/open-data.js';
import { closeRecords } from '@showtell/shared/data/dataset.js';
import type { RecordEvaluation } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Job } from '@showtell/shared/job/job.js';
import { thrown, type ThrownError } from '@showtell/shared/thrown-error.js';
import { Evaluation, type EvaluationResult, type EvaluationWork } from './evaluation.js';

/** What the thread is started with. */
export interface EvaluationThreadData {
  /** Of the data: a folder, or a bucket's URL. */
  readonly location: string;
  readonly job: Job;
}

/** An evaluation's results, of every unit in index order. */
export type EvaluationResults = readonly (readonly RecordEvaluation[])[];

export type EvaluationReply =
  | { readonly type: 'opened'; readonly work: readonly EvaluationWork[]; readonly unigramLossPerWord: number }
  | { readonly type: 'scored'; readonly result: EvaluationResult }
  | { readonly type: 'threw'; readonly error: ThrownError };

/** Reads and tokenises the references, then scores one evaluation after another, so that no lease or step waits. */
const port = parentPort;
if (port === null) throw new TypeError('evaluation-thread-main.js runs as a worker thread only');

const reply = (message: EvaluationReply): void => port.postMessage(message);

try {
  const { location, job } = workerData as EvaluationThreadData;
  const dataset = await openData(location, job.data);
  const evaluation = await Evaluation.open(dataset, job);
  await closeRecords(dataset);
  port.on('message', (results: EvaluationResults) => {
    try {
      reply({ type: 'scored', result: evaluation.score(results) });
    } catch (error) {
      reply({ type: 'threw', error: thrown(error) });
    }
  });
  reply({ type: 'opened', work: evaluation.work(), unigramLossPerWord: evaluation.unigramLossPerWord });
} catch (error) {
  reply({ type: 'threw', error: thrown(error) });
}

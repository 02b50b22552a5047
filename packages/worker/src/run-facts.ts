import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readManifest } from '@showtell/shared/data/dataset.js';
import { readVocabulary, type Vocabulary } from '@showtell/shared/data/vocabulary.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { jobDigest } from '@showtell/shared/job/digest.js';
import type { Job } from '@showtell/shared/job/job.js';
import { loadJob, parseJob } from '@showtell/shared/job/load-job.js';
import { hashOfWeights } from '@showtell/shared/tensors/weights-files.js';
import type { WorkerOptions } from './options.js';

/** What a worker must know of a run before it joins, and shows in its greeting. */
export interface RunFacts {
  readonly job: Job;
  readonly jobSha256: string;
  readonly directory: string;
  readonly datasetDigest: string;
  readonly vocabulary: Vocabulary;
}

/** @throws ShowtellError `run/missing`, `job/…`, `data/…`, `file/missing` */
export async function readRunFacts(run: WorkerOptions['run']): Promise<RunFacts> {
  const { job, encoderWeights } = 'folder' in run ? fromFolder(run.folder) : await fromJob(run.job);
  const directory = ('data' in run ? run.data : null) ?? job.data.directory;
  if (directory === undefined)
    throw new ShowtellError('usage/invalid', {
      detail: 'the job names no data folder: give --data',
      command: 'worker',
    });
  const manifest = await readManifest(directory);
  const vocabulary = await readVocabulary(join(directory, manifest.vocabulary.file));
  return { job, jobSha256: jobDigest(job, encoderWeights), directory, datasetDigest: manifest.digest, vocabulary };
}

function fromFolder(folder: string): { job: Job; encoderWeights: string | null } {
  const jobFile = join(folder, 'job.json');
  const identityFile = join(folder, 'run.json');
  if (!existsSync(jobFile) || !existsSync(identityFile)) throw new ShowtellError('run/missing', { run: folder });
  const identity = JSON.parse(readFileSync(identityFile, 'utf8')) as { encoderWeightsSha256?: string | null };
  const job = parseJob(JSON.parse(readFileSync(jobFile, 'utf8')), [], jobFile);
  return { job, encoderWeights: identity.encoderWeightsSha256 ?? null };
}

async function fromJob(file: string): Promise<{ job: Job; encoderWeights: string | null }> {
  const job = await loadJob(file);
  const { weights } = job.model.encoder;
  return { job, encoderWeights: weights === 'random' ? null : hashOfWeights(weights) };
}

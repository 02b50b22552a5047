import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { localData, whenDataAreThere } from '@showtell/shared/bus/open-data.js';
import { readManifest } from '@showtell/shared/data/dataset.js';
import { readVocabulary, type Vocabulary } from '@showtell/shared/data/vocabulary.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { jobDigest } from '@showtell/shared/job/digest.js';
import type { Job } from '@showtell/shared/job/job.js';
import { loadJob, parseJob } from '@showtell/shared/job/load-job.js';
import { hashOfWeights } from '@showtell/shared/tensors/weights-files.js';
import type { WorkerOptions } from './options.js';

/** The job that a worker is to compute, and where its data are. */
export interface RunJob {
  /** Null: of whichever run the coordinator leads. */
  readonly run: string | null;
  readonly job: Job;
  readonly jobSha256: string;
  /** Of the data: a folder, or a bucket's URL. */
  readonly location: string;
}

/** What a worker must know of a run's data before it joins, and shows in its greeting. */
export interface DataFacts {
  readonly datasetDigest: string;
  readonly vocabulary: Vocabulary;
}

/** @throws ShowtellError `run/missing`, `job/…`, `file/missing` */
export async function readRunJob(run: WorkerOptions['run']): Promise<RunJob> {
  const { job, encoderWeights, run: name } = 'folder' in run ? fromFolder(run.folder) : await fromJob(run.job);
  const location = ('data' in run ? run.data : null) ?? job.data.directory;
  if (location === undefined)
    throw new ShowtellError('usage/invalid', { detail: 'the job names no data: give --data', command: 'worker' });
  return { run: name, job, jobSha256: jobDigest(job, encoderWeights), location };
}

/**
 * Waits for a bucket's data as for a coordinator.
 * @param stopped asked between tries
 * @returns null when stopped before they were there
 * @throws ShowtellError `data/…`, `bus/…`
 */
export async function readDataFacts(
  { job, location }: RunJob,
  waitSeconds: number,
  stopped: () => boolean,
): Promise<DataFacts | null> {
  const there = await whenDataAreThere(() => localData(location, job.data), waitSeconds, stopped);
  if (there === null) return null;
  const manifest = await readManifest(there.directory);
  const vocabulary = await readVocabulary(join(there.directory, manifest.vocabulary.file));
  return { datasetDigest: manifest.digest, vocabulary };
}

interface Found {
  readonly run: string | null;
  readonly job: Job;
  readonly encoderWeights: string | null;
}

function fromFolder(folder: string): Found {
  const jobFile = join(folder, 'job.json');
  const identityFile = join(folder, 'run.json');
  if (!existsSync(jobFile) || !existsSync(identityFile)) throw new ShowtellError('run/missing', { run: folder });
  const identity = JSON.parse(readFileSync(identityFile, 'utf8')) as {
    run: string;
    encoderWeightsSha256?: string | null;
  };
  const job = parseJob(JSON.parse(readFileSync(jobFile, 'utf8')), [], jobFile);
  return { run: identity.run, job, encoderWeights: identity.encoderWeightsSha256 ?? null };
}

async function fromJob(file: string): Promise<Found> {
  const job = await loadJob(file);
  const { weights } = job.model.encoder;
  return { run: null, job, encoderWeights: weights === 'random' ? null : hashOfWeights(weights) };
}

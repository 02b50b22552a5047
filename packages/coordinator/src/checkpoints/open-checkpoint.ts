import path from 'node:path';
import { findVocabulary } from '@showtell/shared/data/find-vocabulary.js';
import type { Vocabulary } from '@showtell/shared/data/vocabulary.js';
import type { Job } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { sizeOf } from '@showtell/shared/tensors/layout.js';
import { readSafetensorsHeader, readTensor, type SafetensorsFile } from '@showtell/shared/tensors/safetensors.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { type Manifest, manifestFile, parametersFile } from './manifest.js';
import { verifyCheckpoint } from './read-checkpoint.js';

/** A checkpoint whose every byte was checked, to be read a tensor at a time. */
export interface OpenCheckpoint {
  readonly directory: string;
  readonly manifest: Manifest;
  readonly job: Job;
  readonly tensors: SafetensorsFile;
}

/** @throws ShowtellError `checkpoint/missing`, `checkpoint/damaged`, `job/invalid` */
export async function openCheckpoint(directory: string): Promise<OpenCheckpoint> {
  const manifest = await verifyCheckpoint(directory);
  const job = parseJob(manifest.job, [], path.join(directory, manifestFile));
  return { directory, manifest, job, tensors: readSafetensorsHeader(path.join(directory, parametersFile)) };
}

/** @throws ShowtellError `checkpoint/damaged` when there is no such tensor */
export function readNamed({ directory, tensors }: OpenCheckpoint, name: string): Float32Array {
  const entry = tensors.entries.find((candidate) => candidate.name === name);
  if (entry === undefined)
    throw new ShowtellError('checkpoint/damaged', { path: directory, detail: `${parametersFile} has no ${name}` });
  return readTensor(tensors, entry, new Float32Array(sizeOf(entry.shape)));
}

/** Its words, as {@link findVocabulary} looks for them. */
export function wordsOf(
  { directory, manifest, job }: OpenCheckpoint,
  given: string | null,
): Promise<{ readonly file: string; readonly vocabulary: Vocabulary }> {
  const { vocabularySha256 } = manifest;
  return findVocabulary({ directory, vocabularySha256, data: job.data.directory ?? null }, given);
}

import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findVocabulary } from '@showtell/shared/data/find-vocabulary.js';
import type { Vocabulary } from '@showtell/shared/data/vocabulary.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { parametersOf } from '@showtell/shared/model/parameters.js';
import { allocateSegments, layOut, tensorView, type Segments } from '@showtell/shared/tensors/layout.js';
import { readSafetensorsHeader, readTensor } from '@showtell/shared/tensors/safetensors.js';

/** What captioning needs of a checkpoint. */
export interface CaptionModel {
  readonly job: Job;
  readonly vocabulary: Vocabulary;
  readonly parameters: Segments;
}

const manifestFile = 'manifest.json';
const parametersFile = 'parameters.safetensors';

interface Manifest {
  readonly job: Job;
  readonly vocabularySha256: string;
  readonly parametersSha256: string;
}

/**
 * Loads a checkpoint's folder.
 * @param vocabulary the words' file; null: the one beside the checkpoint, in its run's folder or in the run's data
 * @throws ShowtellError `checkpoint/missing`, `checkpoint/damaged`, `caption/no-vocabulary`, `caption/other-vocabulary`
 */
export async function loadCheckpoint(directory: string, vocabulary: string | null): Promise<CaptionModel> {
  const manifest = readManifest(directory);
  const file = join(directory, parametersFile);
  if ((await hashFile(file, directory)) !== manifest.parametersSha256)
    throw damaged(directory, `${parametersFile} does not have the hash that ${manifestFile} states`);
  const { job } = manifest;
  const layout = layOut(parametersOf(job.model));
  const parameters = allocateSegments(layout);
  const content = readSafetensorsHeader(file);
  const stored = new Map(content.entries.map((entry) => [entry.name, entry]));
  for (const entry of layout.entries) {
    const found = stored.get(entry.name);
    if (found?.shape.join() !== entry.shape.join())
      throw damaged(directory, `it has no ${entry.name} of the job's model`);
    readTensor(content, found, tensorView(parameters, entry));
  }
  const words = { directory, vocabularySha256: manifest.vocabularySha256, data: job.data.directory ?? null };
  return { job, parameters, vocabulary: (await findVocabulary(words, vocabulary)).vocabulary };
}

function readManifest(directory: string): Manifest {
  const file = join(directory, manifestFile);
  if (!existsSync(file))
    throw new ShowtellError('checkpoint/missing', { path: directory, detail: `it has no ${manifestFile}` });
  let json: { job?: unknown; vocabularySha256?: unknown; files?: Record<string, { sha256?: unknown } | undefined> };
  try {
    json = JSON.parse(readFileSync(file, 'utf8')) as typeof json;
  } catch (cause) {
    throw new ShowtellError('checkpoint/damaged', { path: directory, detail: `${manifestFile} is no JSON` }, { cause });
  }
  const { vocabularySha256, files } = json;
  const parametersSha256 = files?.[parametersFile]?.sha256;
  if (typeof vocabularySha256 !== 'string' || typeof parametersSha256 !== 'string')
    throw damaged(directory, `${manifestFile} lacks hashes`);
  return { job: parseJob(json.job, [], file), vocabularySha256, parametersSha256 };
}

async function hashFile(file: string, directory: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(file, { highWaterMark: 1_048_576 })) hash.update(piece as Buffer);
  } catch (cause) {
    throw new ShowtellError('checkpoint/damaged', { path: directory, detail: `${file} cannot be read` }, { cause });
  }
  return hash.digest('hex');
}

function damaged(path: string, detail: string): ShowtellError {
  return new ShowtellError('checkpoint/damaged', { path, detail });
}

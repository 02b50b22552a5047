import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { type Vocabulary, readVocabulary } from '@showtell/shared/data/vocabulary.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { jobDigest } from '@showtell/shared/job/digest.js';
import type { Job } from '@showtell/shared/job/job.js';
import { decoderNames } from '@showtell/shared/model/decoder.js';
import { initializeParameter } from '@showtell/shared/model/initialize.js';
import type { ParameterSpec } from '@showtell/shared/model/parameters.js';
import type { NamedTensor } from '@showtell/shared/tensors/hash.js';
import { modelParameters } from '../model-parameters.js';
import { aboutOf, type ManifestContent } from './manifest.js';
import { type OpenCheckpoint, readNamed, wordsOf } from './open-checkpoint.js';
import { vocabularyFile, writeNewCheckpoint } from './write-checkpoint.js';

export interface RemapOptions {
  /** The new words' file. */
  readonly vocabulary: string;
  /** The words that the checkpoint was trained with; null: looked for where checkpoints have them. */
  readonly from: string | null;
  /** Rows of the new tables; null: as many as before, or as the words need. */
  readonly rows: number | null;
  readonly out: string;
}

/** Which words' rows were kept. */
export interface Remapped {
  readonly manifest: ManifestContent;
  readonly rows: { readonly before: number; readonly now: number };
  readonly kept: number;
  /** In the order of their ids, with first values. */
  readonly added: readonly string[];
  /** Words that the new vocabulary has not. */
  readonly dropped: readonly string[];
}

/**
 * Gives a checkpoint another vocabulary: words that both have keep their row of the embedding and their column and bias of
 * the logits, `<UNK>` included; others get first values from the job's seed. The optimizer's state is left out: a run
 * that begins with it begins its momentum anew.
 *
 * @throws ShowtellError `checkpoint/exists`, `data/vocabulary-unreadable`, `caption/no-vocabulary`,
 * `caption/other-vocabulary`, `checkpoint/vocabulary-too-large`, `checkpoint/damaged`, `file/unwritable`
 */
export async function remapCheckpoint(checkpoint: OpenCheckpoint, options: RemapOptions): Promise<Remapped> {
  const { directory, manifest } = checkpoint;
  const after = await readVocabulary(options.vocabulary);
  const before = (await wordsOf(checkpoint, options.from)).vocabulary;
  const rowsBefore = checkpoint.job.model.decoder.vocabulary;
  const rows = options.rows ?? Math.max(rowsBefore, after.size);
  if (after.size > rows) {
    const facts = { file: options.vocabulary, words: after.size, path: directory, rows };
    throw new ShowtellError('checkpoint/vocabulary-too-large', facts);
  }
  const job = withRows(checkpoint.job, rows);
  const places = placesOf(before, after);
  const tensors = modelParameters(job).specs.map((spec) => remapTensor(checkpoint, spec, places, job.seed));
  const out = resolve(options.out);
  const written = writeNewCheckpoint({
    directory: dirname(out),
    name: basename(out),
    about: {
      ...aboutOf(manifest),
      job,
      jobSha256: jobDigest(job, null),
      vocabularySha256: after.sha256,
      canaries: {},
      metrics: {},
    },
    savedAt: new Date().toISOString(),
    parameters: tensors,
    optimizer: [],
    pinned: false,
    beside: { [vocabularyFile]: await readFile(options.vocabulary) },
  });
  const words = (vocabulary: Vocabulary): string[] =>
    Array.from({ length: vocabulary.size }, (_, id) => vocabulary.word(id));
  const [old, now] = [new Set(words(before)), new Set(words(after))];
  return {
    manifest: written,
    rows: { before: rowsBefore, now: rows },
    kept: places.length,
    added: [...now].filter((word) => !old.has(word)),
    dropped: [...old].filter((word) => !now.has(word)),
  };
}

function withRows(job: Job, vocabulary: number): Job {
  const { model } = job;
  return { ...job, model: { ...model, decoder: { ...model.decoder, vocabulary } } };
}

/** Where a word's row stood, and where it goes. */
interface Place {
  readonly from: number;
  readonly to: number;
}

function placesOf(before: Vocabulary, after: Vocabulary): Place[] {
  const old = new Map(Array.from({ length: before.size }, (_, id) => [before.word(id), id]));
  return Array.from({ length: after.size }, (_, to) => ({ from: old.get(after.word(to)), to })).flatMap(
    ({ from, to }) => (from === undefined ? [] : [{ from, to }]),
  );
}

function remapTensor(
  checkpoint: OpenCheckpoint,
  spec: ParameterSpec,
  places: readonly Place[],
  seed: number,
): NamedTensor {
  const { name, shape } = spec;
  const old = readNamed(checkpoint, name);
  const { wordEmbedding, logits, logitsBias } = decoderNames;
  if (name !== wordEmbedding && name !== logits && name !== logitsBias) return { name, shape, values: old };
  const values = initializeParameter(seed, spec);
  const [first = 0, second = 1] = shape;
  if (name === logits) {
    const columnsBefore = old.length / first;
    for (let row = 0; row < first; row++)
      for (const { from, to } of places) values[row * second + to] = old[row * columnsBefore + from] as number;
  } else {
    for (const { from, to } of places) values.set(old.subarray(from * second, (from + 1) * second), to * second);
  }
  return { name, shape, values };
}

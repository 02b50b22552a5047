import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import sharp from 'sharp';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  datasetDigest,
  SPLIT_NAMES,
  shardFileName,
  splitDigest,
  type DatasetManifest,
  type SplitManifest,
  type SplitName,
} from '@showtell/shared/data/manifest.js';
import { encodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { indexFile, readIndex, ShardWriter } from '@showtell/shared/data/shard.js';
import { countWords, formatWordCounts, makeVocabulary, type Vocabulary } from '@showtell/shared/data/vocabulary.js';
import { appendChecks, claimFolder, finishFolder, readChecks, writeWhole, type PictureCheck } from './build-folder.js';
import { formatCocoCaptions, type CaptionedPicture, type SkippedPicture } from './coco.js';
import { checkPicture } from './picture-check.js';
import type { Progress } from './progress.js';
import { shuffled } from './split-pictures.js';
import { captionWords } from './tokenize.js';

/** While the number of shards isn't given there is one for so many records; im2txt's 256 of COCO hold 2,290 each. */
const RECORDS_PER_SHARD = 256;

const DEFAULT_SHARDS: Readonly<Record<SplitName, number>> = { train: 256, val: 4, test: 8 };

/** Pictures looked at between two notes of how far the check is. */
const CHECKS_PER_NOTE = 500;

export interface BuildOptions {
  readonly directory: string;
  /** Where the set came from, for dataset.json: a command and the options that made it. */
  readonly source: { readonly kind: 'build-coco' | 'synth'; readonly [option: string]: unknown };
  /** Hash of all that decides the folder's bytes; null: it is taken of the pairs, the vocabulary and the options. */
  readonly plan: string | null;
  readonly splits: Readonly<Record<SplitName, readonly CaptionedPicture[]>>;
  /** Pictures that were left out before. */
  readonly skipped: readonly SkippedPicture[];
  /** null: as many as im2txt has, but no more than one for every 256 records. */
  readonly shards: Readonly<Record<SplitName, number | null>>;
  readonly minWordCount: number;
  readonly maxWords: number;
  readonly seed: number;
  readonly threads: number;
  readonly convert: boolean;
  readonly skipBad: boolean;
  readonly progress: Progress;
}

/** One record to be: a picture with one of its captions. */
interface Pair {
  readonly picture: CaptionedPicture;
  readonly words: readonly string[];
}

/**
 * Writes a data folder: shards with their indexes, word_counts.txt, the captions of each split and dataset.json.
 * Interrupted and called again with the same input it goes on with the shards that are missing.
 * @returns the manifest, or null when the folder already held this very build
 * @throws ShowtellError `data/caption-length`, `data/image-undecodable`, `data/folder-occupied`, `data/split-impossible`
 */
export async function writeDataset(options: BuildOptions): Promise<DatasetManifest | null> {
  const { directory } = options;
  const skipped: SkippedPicture[] = [...options.skipped];
  const pairs = mapSplits((name) => pairsOf(options.splits[name], options, skipped));
  const counts = countWords(
    pairs.train.map(({ words }) => words),
    options.minWordCount,
  );
  const vocabulary = makeVocabulary(counts.map(({ word }) => word));
  noteUnknownWords(pairs.train, vocabulary, options);

  const plan = options.plan ?? planDigest(options, pairs, vocabulary);
  if ((await claimFolder(directory, plan)) === 'complete') return null;
  const faults = await checkPictures(options);
  for (const [imageId, { file, fault }] of faults) skipped.push({ imageId, file, reason: fault });

  await writeWhole(join(directory, 'word_counts.txt'), formatWordCounts(counts));
  const splits = {} as Record<SplitName, SplitManifest>;
  for (const name of SPLIT_NAMES) {
    const usable = pairs[name].filter(({ picture }) => !faults.has(picture.imageId));
    const captions = `captions-${name}.json`;
    const pictures = options.splits[name].filter(({ imageId }) => !faults.has(imageId));
    await writeWhole(join(directory, captions), formatCocoCaptions(pictures, `showtell ${options.source.kind}: ${name}`));
    const shards = await writeShards(name, shuffled(usable, options.seed, `records of ${name}`), vocabulary, options);
    splits[name] = {
      shards,
      records: usable.length,
      excluded: [],
      images: new Set(usable.map(({ picture }) => picture.imageId)).size,
      captions,
      digest: splitDigest(name, shards, []),
    };
  }
  const digests = { train: splits.train.digest, val: splits.val.digest, test: splits.test.digest };
  const manifest: DatasetManifest = {
    format: 'showtell-dataset-1',
    source: { ...options.source, plan },
    vocabulary: { file: 'word_counts.txt', size: vocabulary.size, sha256: vocabulary.sha256 },
    splits,
    skipped,
    digest: datasetDigest(vocabulary.sha256, digests),
  };
  await finishFolder(directory, `${JSON.stringify(manifest, null, 1)}\n`);
  return manifest;
}

function mapSplits<T>(of: (name: SplitName) => T): Record<SplitName, T> {
  return { train: of('train'), val: of('val'), test: of('test') };
}

function pairsOf(pictures: readonly CaptionedPicture[], options: BuildOptions, skipped: SkippedPicture[]): Pair[] {
  const pairs: Pair[] = [];
  for (const picture of pictures) {
    for (const { id: annotationId, text } of picture.captions) {
      const words = captionWords(text);
      const length = words.length - 2;
      if (length >= 1 && length <= options.maxWords) {
        pairs.push({ picture, words });
        continue;
      }
      const { imageId, fileName } = picture;
      const facts = { annotationId, imageId, words: length, limit: options.maxWords, file: fileName };
      const fault = new ShowtellError('data/caption-length', facts);
      if (!options.skipBad) throw fault;
      const reason = fault.message;
      if (!skipped.some((known) => known.reason === reason)) skipped.push({ imageId, file: fileName, reason });
    }
  }
  return pairs;
}

/** A vocabulary that knows few of the captions' words is legal, and hardly ever what was meant. */
function noteUnknownWords(pairs: readonly Pair[], vocabulary: Vocabulary, options: BuildOptions): void {
  let words = 0;
  let unknown = 0;
  for (const pair of pairs) {
    words += pair.words.length - 2;
    for (const word of pair.words) if (vocabulary.id(word) === vocabulary.unkId) unknown++;
  }
  if (unknown * 20 <= words) return;
  const share = Math.round((100 * unknown) / words);
  options.progress.note(
    `${share} % of the training captions' words occur fewer than ${options.minWordCount} times and become <UNK>; ` +
      '--min-word-count 1 keeps every word.',
  );
}

/** Hash of all that decides the folder's bytes, but for the pictures' own. */
function planDigest(options: BuildOptions, pairs: Record<SplitName, Pair[]>, vocabulary: Vocabulary): string {
  const { source, shards, seed, convert, skipBad } = options;
  const hash = createHash('sha256').update(JSON.stringify({ source, shards, seed, convert, skipBad }));
  hash.update(vocabulary.sha256);
  for (const name of SPLIT_NAMES) {
    hash.update(`\n${name}\n`);
    for (const { picture, words } of pairs[name]) {
      hash.update(`${picture.imageId} ${picture.fileName} ${words.join(' ')}\n`);
    }
  }
  return hash.digest('hex');
}

/** Looks at every picture once, before a record is written, so that a bad one is told in the first minutes. */
async function checkPictures(options: BuildOptions): Promise<Map<number, { file: string; fault: string }>> {
  const pictures = new Map<number, CaptionedPicture>();
  for (const name of SPLIT_NAMES) for (const picture of options.splits[name]) pictures.set(picture.imageId, picture);
  const faults = new Map<number, { file: string; fault: string }>();
  const note = ({ imageId, fault }: PictureCheck): void => {
    const picture = pictures.get(imageId);
    pictures.delete(imageId);
    if (fault === null || picture === undefined) return;
    if (!options.skipBad) {
      throw new ShowtellError('data/image-undecodable', { file: picture.file, imageId, detail: fault });
    }
    faults.set(imageId, { file: picture.fileName, fault });
  };
  const total = pictures.size;
  for (const check of await readChecks(options.directory)) if (check.fault === null || options.skipBad) note(check);
  options.progress.begin('checking pictures', total);
  options.progress.advance(total - pictures.size);
  const limit = workers(options.threads);
  const left = [...pictures.values()];
  for (let i = 0; i < left.length; i += CHECKS_PER_NOTE) {
    const checks = await Promise.all(
      left.slice(i, i + CHECKS_PER_NOTE).map((picture) =>
        limit(async (): Promise<PictureCheck> => {
          const checked = await checkPicture(picture.file, options.convert);
          options.progress.advance(1);
          return { imageId: picture.imageId, fault: 'fault' in checked ? checked.fault : null };
        }),
      ),
    );
    for (const check of checks) note(check);
    await appendChecks(options.directory, checks);
  }
  options.progress.end();
  return faults;
}

/** libvips would thread within each picture too; pictures side by side do better. */
function workers(threads: number): ReturnType<typeof pLimit> {
  sharp.concurrency(1);
  return pLimit(threads);
}

async function writeShards(
  name: SplitName,
  pairs: readonly Pair[],
  vocabulary: Vocabulary,
  options: BuildOptions,
): Promise<SplitManifest['shards']> {
  const given = options.shards[name];
  const count = given ?? Math.min(DEFAULT_SHARDS[name], Math.ceil(pairs.length / RECORDS_PER_SHARD));
  if (given !== null && given > pairs.length) {
    const detail = `${name} has ${pairs.length} records, too few for ${given} shards`;
    throw new ShowtellError('data/split-impossible', { detail });
  }
  options.progress.begin(`writing ${name}`, pairs.length);
  const limit = pLimit(Math.min(options.threads, 8));
  const shards = await Promise.all(
    Array.from({ length: count }, (_, shard) =>
      limit(async () => {
        const file = shardFileName(name, shard, count);
        const own = pairs.slice(bound(shard, count, pairs.length), bound(shard + 1, count, pairs.length));
        const index = await writeShard(join(options.directory, file), own, vocabulary, options);
        return { file, records: own.length, bytes: index.shardBytes, indexSha256: index.sha256 };
      }),
    ),
  );
  options.progress.end();
  return shards;
}

/** First record of a shard when records are spread evenly, as numpy's linspace rounds it for im2txt. */
function bound(shard: number, shards: number, records: number): number {
  return Math.floor((shard * records) / shards);
}

async function writeShard(file: string, pairs: readonly Pair[], vocabulary: Vocabulary, options: BuildOptions) {
  const finished = await readIndex(indexFile(file)).catch(() => null);
  if (finished?.count === pairs.length) {
    options.progress.advance(pairs.length);
    return finished;
  }
  await rm(indexFile(file), { force: true });
  await using writer = new ShardWriter(file);
  for (const { picture, words } of pairs) {
    const checked = await checkPicture(picture.file, options.convert, false);
    if ('fault' in checked) {
      const facts = { file: picture.file, imageId: picture.imageId, detail: checked.fault };
      throw new ShowtellError('data/image-undecodable', facts);
    }
    const ids = Int32Array.from(words, (word) => vocabulary.id(word));
    await writer.append(encodeCaptionExample({ imageId: picture.imageId, jpeg: checked.jpeg, words, ids }));
    options.progress.advance(1);
  }
  await writer.close();
  return await readIndex(indexFile(file));
}

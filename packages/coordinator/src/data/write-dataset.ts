import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  datasetDigest,
  SPLIT_NAMES,
  splitDigest,
  type DatasetManifest,
  type SplitManifest,
  type SplitName,
} from '@showtell/shared/data/manifest.js';
import { countWords, formatWordCounts, makeVocabulary, type Vocabulary } from '@showtell/shared/data/vocabulary.js';
import { claimFolder, finishFolder, writeWhole } from './build-folder.js';
import type { BuildOptions, Pair } from './build-options.js';
import { checkPictures, type Faults } from './check-pictures.js';
import { formatCocoCaptions, type CaptionedPicture, type SkippedPicture } from './coco.js';
import { shuffled } from './split-pictures.js';
import { captionWords } from './tokenize.js';
import { writeShards } from './write-shards.js';

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
  const faults: Faults = options.check ? await checkPictures(options) : new Map<number, never>();
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


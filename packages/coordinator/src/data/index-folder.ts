import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { readManifest } from '@showtell/shared/data/dataset.js';
import {
  datasetDigest,
  SPLIT_NAMES,
  shardFileName,
  splitDigest,
  type DatasetManifest,
  type ExcludedRecord,
  type SplitManifest,
  type SplitName,
} from '@showtell/shared/data/manifest.js';
import { decodeCaptionExample, type CaptionExample } from '@showtell/shared/data/sequence-example.js';
import { indexFile, readIndex, writeIndex, type IndexEntry } from '@showtell/shared/data/shard.js';
import { scanRecords } from '@showtell/shared/data/tfrecord.js';
import { readVocabulary, type Vocabulary } from '@showtell/shared/data/vocabulary.js';
import { finishFolder, writeWhole } from './build-folder.js';
import { decodeFault } from './picture-check.js';
import type { Progress } from './progress.js';

const SHARD_NAME = /^(train|val|test)-(\d{5})-of-(\d{5})$/;
const VOCABULARY_FILE = 'word_counts.txt';

interface IndexOptions {
  readonly directory: string;
  /** Decode each picture too; what doesn't decode is excluded. */
  readonly decode: boolean;
  /** Exclude records whose bytes don't have their CRC, instead of refusing the shard. */
  readonly excludeCorrupt: boolean;
  readonly maxWords: number;
  readonly progress: Progress;
}

/**
 * Makes a data folder of TFRecords that are there already, such as im2txt's: an index beside each shard, the list of
 * records that can't be used, the captions of each split, dataset.json.
 * @throws ShowtellError `file/missing` for a shard or the vocabulary, `data/shard-unreadable`, `data/record-corrupt`,
 *   `data/vocabulary-unreadable` when a record has ids the vocabulary lacks
 */
export async function indexFolder(options: IndexOptions): Promise<DatasetManifest> {
  const { directory } = options;
  const before = await readManifest(directory).catch(() => null);
  const shards = await findShards(directory);
  const vocabulary = await readVocabulary(join(directory, before?.vocabulary.file ?? VOCABULARY_FILE));
  const splits = {} as Record<SplitName, SplitManifest>;
  for (const name of SPLIT_NAMES) {
    splits[name] = await indexSplit(name, shards[name], before?.splits[name].captions ?? null, vocabulary, options);
  }
  if (splits.train.records === splits.train.excluded.length) {
    const detail = `train has ${splits.train.records} records, none of which can be used`;
    throw new ShowtellError('data/folder-unreadable', { file: directory, detail });
  }
  const digests = { train: splits.train.digest, val: splits.val.digest, test: splits.test.digest };
  const manifest: DatasetManifest = {
    format: 'showtell-dataset-1',
    source: { kind: 'index', ...(before === null ? {} : { of: before.source }) },
    vocabulary: { file: before?.vocabulary.file ?? VOCABULARY_FILE, size: vocabulary.size, sha256: vocabulary.sha256 },
    splits,
    skipped: before?.skipped ?? [],
    digest: datasetDigest(vocabulary.sha256, digests),
  };
  await finishFolder(directory, `${JSON.stringify(manifest, null, 1)}\n`);
  return manifest;
}

/** The shards of each split by im2txt's names, all of them there. */
async function findShards(directory: string): Promise<Record<SplitName, string[]>> {
  const files = await readdir(directory).catch((cause: unknown) => {
    throw new ShowtellError('file/missing', { file: directory, what: 'The folder' }, { cause });
  });
  const found: Record<SplitName, Set<string>> = { train: new Set(), val: new Set(), test: new Set() };
  const totals: Partial<Record<SplitName, number>> = {};
  for (const file of files) {
    const match = SHARD_NAME.exec(file);
    if (match === null) continue;
    const name = match[1] as SplitName;
    const total = Number(match[3]);
    if ((totals[name] ?? total) !== total) {
      const detail = `it is one of ${total} shards of ${name}, but another file is one of ${totals[name] ?? 0}`;
      throw new ShowtellError('data/shard-unreadable', { file: join(directory, file), detail });
    }
    totals[name] = total;
    found[name].add(file);
  }
  const shards: Record<SplitName, string[]> = { train: [], val: [], test: [] };
  for (const name of SPLIT_NAMES) {
    const total = totals[name] ?? 0;
    for (let i = 0; i < total; i++) {
      const file = shardFileName(name, i, total);
      if (!found[name].has(file)) throw new ShowtellError('file/missing', { file: join(directory, file), what: 'Shard' });
      shards[name].push(file);
    }
  }
  if (shards.train.length === 0) {
    const file = join(directory, 'train-00000-of-00256');
    throw new ShowtellError('file/missing', { file, what: 'A TFRecord file named as im2txt does,' });
  }
  return shards;
}

async function indexSplit(
  name: SplitName,
  files: readonly string[],
  captionsFile: string | null,
  vocabulary: Vocabulary,
  options: IndexOptions,
): Promise<SplitManifest> {
  const { directory, progress } = options;
  const shards: SplitManifest['shards'] = [];
  const excluded: ExcludedRecord[] = [];
  const captions = new Map<number, Set<string>>();
  const decoded = new Map<number, string | null>();
  progress.begin(`indexing ${name}`, files.length);
  for (const [shard, file] of files.entries()) {
    const path = join(directory, file);
    const entries: IndexEntry[] = [];
    for await (const scanned of scanRecords(path)) {
      const record = entries.length;
      entries.push({ offset: scanned.offset, length: scanned.length, crc: scanned.crc });
      if (!scanned.sound) {
        const detail = 'its bytes do not have the CRC beside them';
        const fault = new ShowtellError('data/record-corrupt', { file: path, shard, offset: scanned.offset, detail });
        if (!options.excludeCorrupt) throw fault;
        excluded.push({ shard, record, reason: fault.message });
        continue;
      }
      const example = readExample(scanned.data, `Record ${record} of ${file}`);
      const fault =
        typeof example === 'string'
          ? example
          : (captionFault(example, vocabulary, options.maxWords, path) ??
            (options.decode ? await pictureFault(example, decoded) : null));
      if (fault !== null || typeof example === 'string') {
        excluded.push({ shard, record, reason: fault ?? '' });
        continue;
      }
      const own = captions.get(example.imageId) ?? new Set();
      captions.set(example.imageId, own.add(example.words.slice(1, -1).join(' ')));
    }
    const { size } = await stat(path);
    await writeIndex(path, size, entries);
    const { sha256 } = await readIndex(indexFile(path));
    shards.push({ file, records: entries.length, bytes: size, indexSha256: sha256 });
    progress.advance(1);
  }
  progress.end();
  const made = `captions-${name}.json`;
  if (captionsFile === null) await writeWhole(join(directory, made), formatTokenizedCaptions(captions));
  return {
    shards,
    records: shards.reduce((sum, { records }) => sum + records, 0),
    excluded,
    images: captions.size,
    captions: captionsFile ?? made,
    digest: splitDigest(name, shards, excluded),
  };
}

function readExample(data: Uint8Array, where: string): CaptionExample | string {
  try {
    return decodeCaptionExample(data, where);
  } catch (error) {
    if (error instanceof ShowtellError && error.code === 'data/record-malformed') return error.message;
    throw error;
  }
}

/** Why a caption can't be trained on, or null. */
function captionFault(example: CaptionExample, vocabulary: Vocabulary, maxWords: number, file: string): string | null {
  const { ids } = example;
  for (const id of ids) {
    if (id < vocabulary.size) continue;
    const detail = `it has ${vocabulary.size} words, but ${file} has word id ${id}: it belongs to other records`;
    throw new ShowtellError('data/vocabulary-unreadable', { file: VOCABULARY_FILE, detail });
  }
  const words = ids.length - 2;
  if (words < 1 || words > maxWords) return `its caption has ${Math.max(0, words)} words, not 1 to ${maxWords}`;
  if (ids[0] !== vocabulary.startId || ids.at(-1) !== vocabulary.endId) return 'its caption lacks <S> or </S>';
  return null;
}

async function pictureFault(example: CaptionExample, decoded: Map<number, string | null>): Promise<string | null> {
  const known = decoded.get(example.imageId);
  if (known !== undefined) return known;
  const fault = await decodeFault(example.jpeg);
  decoded.set(example.imageId, fault === null ? null : `its picture does not decode: ${fault}`);
  return decoded.get(example.imageId) ?? null;
}

/** The references of an evaluation from the records' own words, which are tokenized but otherwise the same. */
function formatTokenizedCaptions(captions: ReadonlyMap<number, ReadonlySet<string>>): string {
  let id = 0;
  const images = [...captions.keys()].map((imageId) => ({ id: imageId, file_name: '' }));
  const annotations = [...captions].flatMap(([imageId, texts]) =>
    [...texts].map((caption) => ({ id: ++id, image_id: imageId, caption })),
  );
  const info = { description: 'showtell index: captions as the records have them, tokenized' };
  return `${JSON.stringify({ info, licenses: [], type: 'captions', images, annotations })}\n`;
}

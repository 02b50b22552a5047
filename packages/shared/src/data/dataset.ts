import { close, open, read } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ShowtellError } from '../errors.js';
import {
  datasetDigest,
  manifestSchema,
  SPLIT_NAMES,
  splitDigest,
  type DatasetManifest,
  type SplitManifest,
  type SplitName,
} from './manifest.js';
import { frameFault, indexFile, readIndex, type ShardIndex } from './shard.js';
import { FOOTER_BYTES, HEADER_BYTES } from './tfrecord.js';
import { readVocabulary, type Vocabulary } from './vocabulary.js';

export const MANIFEST_FILE = 'dataset.json';

/** A record's data: `length` bytes from byte `offset` of the split's shard number `shard` (its frame is around it). */
export interface RecordRef {
  readonly shard: number;
  readonly offset: number;
  readonly length: number;
}

export interface Split {
  readonly name: SplitName;
  readonly shards: readonly { readonly file: string; readonly records: number }[];
  /** Records in use: the excluded are left out. */
  readonly count: number;
  /** Image–caption pairs of an epoch, what im2txt's `num_examples_per_epoch` stands for: the same as `count`. */
  readonly decoderExamples: number;
  /** Distinct pictures. */
  readonly images: number;
  readonly digest: string;
  /** COCO annotations of this split's pictures, or null when nobody knows them (TFRecords from elsewhere). */
  readonly captionsFile: string | null;
  /**
   * Record i in the order of the shards, 0 ≤ i < count.
   * @throws RangeError beyond
   */
  record(i: number): RecordRef;
  /** The index of a shard, for readers that have its bytes from elsewhere than the folder. */
  index(shard: number): ShardIndex;
}

export interface Dataset {
  readonly directory: string;
  readonly digest: string;
  readonly vocabulary: Vocabulary;
  readonly manifest: DatasetManifest;
  split(name: SplitName): Split;
}

/**
 * Opens a data folder: its manifest, vocabulary and indexes must agree by their hashes, and each shard must have the
 * size its index states. Records are checked as they are read.
 * @throws ShowtellError `data/folder-not-indexed`, `data/folder-unreadable`, `data/index-unreadable`,
 *   `data/vocabulary-unreadable`, `data/shard-unreadable`, `file/missing`
 */
export async function openDataset(directory: string): Promise<Dataset> {
  const manifest = await readManifest(directory);
  const vocabularyFile = join(directory, manifest.vocabulary.file);
  const vocabulary = await readVocabulary(vocabularyFile);
  if (vocabulary.sha256 !== manifest.vocabulary.sha256) {
    const detail = 'its words are not those the records were made with (dataset.json has another hash)';
    throw new ShowtellError('data/vocabulary-unreadable', { file: vocabularyFile, detail });
  }
  const splits = {
    train: await openSplit(directory, 'train', manifest.splits.train),
    val: await openSplit(directory, 'val', manifest.splits.val),
    test: await openSplit(directory, 'test', manifest.splits.test),
  };
  const digests = { train: splits.train.digest, val: splits.val.digest, test: splits.test.digest };
  if (datasetDigest(vocabulary.sha256, digests) !== manifest.digest) throw disagreement(directory, 'its digest');
  return { directory, digest: manifest.digest, vocabulary, manifest, split: (name) => splits[name] };
}

/** @throws ShowtellError `data/folder-not-indexed`, `data/folder-unreadable` */
export async function readManifest(directory: string): Promise<DatasetManifest> {
  const file = join(directory, MANIFEST_FILE);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ShowtellError('data/folder-not-indexed', { directory }, { cause });
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ShowtellError('data/folder-unreadable', { file, detail: 'it is no JSON' }, { cause });
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const detail = issue === undefined ? 'its fields are wrong' : `${issue.path.join('.') || 'it'}: ${issue.message}`;
  throw new ShowtellError('data/folder-unreadable', { file, detail });
}

function disagreement(directory: string, what: string): ShowtellError {
  const detail = `${what} is not what the indexes beside it give`;
  return new ShowtellError('data/folder-unreadable', { file: join(directory, MANIFEST_FILE), detail });
}

async function openSplit(directory: string, name: SplitName, manifest: SplitManifest): Promise<Split> {
  const shards = manifest.shards.map(({ file, records }) => ({ file: join(directory, file), records }));
  const indexes: ShardIndex[] = [];
  for (const [i, shard] of shards.entries()) {
    const index = await readIndex(indexFile(shard.file));
    if (index.sha256 !== manifest.shards[i]?.indexSha256 || index.count !== shard.records) {
      throw disagreement(directory, `shard ${i} of ${name}`);
    }
    const size = await stat(shard.file).then(
      (stats) => stats.size,
      (cause: unknown) => {
        throw new ShowtellError('file/missing', { file: shard.file, what: `Shard ${i} of ${name},` }, { cause });
      },
    );
    if (size !== index.shardBytes) {
      const detail = `it has ${size} bytes where its index has ${index.shardBytes}`;
      throw new ShowtellError('data/shard-unreadable', { file: shard.file, detail });
    }
    indexes.push(index);
  }
  if (splitDigest(name, manifest.shards, manifest.excluded) !== manifest.digest) {
    throw disagreement(directory, `the digest of ${name}`);
  }
  const { shardOf, recordOf } = recordsInUse(indexes, manifest.excluded);
  const index = (shard: number): ShardIndex => {
    const found = indexes[shard];
    if (found === undefined) throw new RangeError(`split ${name} has no shard ${shard}`);
    return found;
  };
  return {
    name,
    shards,
    count: shardOf.length,
    decoderExamples: shardOf.length,
    images: manifest.images,
    digest: manifest.digest,
    captionsFile: manifest.captions === null ? null : join(directory, manifest.captions),
    index,
    record: (i) => {
      const shard = shardOf[i];
      const record = recordOf[i];
      if (shard === undefined || record === undefined) {
        throw new RangeError(`split ${name} has ${shardOf.length} records, so none numbered ${i}`);
      }
      const entries = index(shard);
      return { shard, offset: entries.offset(record), length: entries.length(record) };
    },
  };
}

function recordsInUse(
  indexes: readonly ShardIndex[],
  excluded: readonly { shard: number; record: number }[],
): { shardOf: Uint32Array; recordOf: Uint32Array } {
  const leftOut = new Set(excluded.map(({ shard, record }) => `${shard}/${record}`));
  const shardOf: number[] = [];
  const recordOf: number[] = [];
  for (const [shard, index] of indexes.entries()) {
    for (let record = 0; record < index.count; record++) {
      if (leftOut.size > 0 && leftOut.has(`${shard}/${record}`)) continue;
      shardOf.push(shard);
      recordOf.push(record);
    }
  }
  return { shardOf: Uint32Array.from(shardOf), recordOf: Uint32Array.from(recordOf) };
}

/** Where a record's whole frame is in its shard's file, for readers that fetch byte ranges. */
function frameRange(ref: RecordRef): { start: number; end: number } {
  return { start: ref.offset - HEADER_BYTES, end: ref.offset + ref.length + FOOTER_BYTES };
}

/**
 * The record's data out of its frame, a view.
 * @throws ShowtellError `data/record-corrupt` when the bytes aren't those the index fixes
 */
function unwrapFrame(split: Split, ref: RecordRef, frame: Buffer): Uint8Array {
  const index = split.index(ref.shard);
  const record = index.at(ref.offset);
  const corrupt = (detail: string): ShowtellError => {
    const file = split.shards[ref.shard]?.file ?? '';
    return new ShowtellError('data/record-corrupt', { file, shard: ref.shard, offset: ref.offset, detail });
  };
  if (record < 0 || index.length(record) !== ref.length) throw corrupt('the index has no such record');
  const fault = frameFault(frame, { offset: ref.offset, length: ref.length, crc: index.crc(record) });
  if (fault !== null) throw corrupt(fault);
  return frame.subarray(HEADER_BYTES, HEADER_BYTES + ref.length);
}

const openAsync = promisify(open);
const readAsync = promisify(read);
const closeAsync = promisify(close);

/** Shards kept open between reads; im2txt's 268 fit, and a process may have 1,024 files open. */
const KEPT_OPEN = 512;
const keptOpen = new WeakMap<Split, Map<number, Promise<number>>>();

/**
 * Reads and checks one record. Shards stay open until {@link closeRecords}.
 * @throws ShowtellError `data/record-corrupt`, naming shard and offset, when the bytes aren't those the index fixes;
 *   `file/missing` when the shard is gone
 */
export async function readRecord(split: Split, ref: RecordRef): Promise<Uint8Array> {
  const file = split.shards[ref.shard]?.file;
  if (file === undefined) throw new RangeError(`split ${split.name} has no shard ${ref.shard}`);
  const kept = keptOpen.get(split) ?? new Map<number, Promise<number>>();
  keptOpen.set(split, kept);
  let descriptor = kept.get(ref.shard);
  const keep = descriptor !== undefined || kept.size < KEPT_OPEN;
  if (descriptor === undefined) {
    descriptor = openAsync(file, 'r').catch((cause: unknown) => {
      kept.delete(ref.shard);
      throw new ShowtellError('file/missing', { file, what: `Shard ${ref.shard} of ${split.name},` }, { cause });
    });
    if (keep) kept.set(ref.shard, descriptor);
  }
  const fd = await descriptor;
  try {
    const { start, end } = frameRange(ref);
    const frame = Buffer.allocUnsafeSlow(Math.max(0, end - start));
    let filled = 0;
    while (filled < frame.length) {
      const { bytesRead } = await readAsync(fd, frame, filled, frame.length - filled, start + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return unwrapFrame(split, ref, frame.subarray(0, filled));
  } finally {
    if (!keep) await closeAsync(fd);
  }
}

/** Closes the shards of a dataset that {@link readRecord} keeps open. No read may be under way. */
export async function closeRecords(dataset: Dataset): Promise<void> {
  for (const name of SPLIT_NAMES) {
    const kept = keptOpen.get(dataset.split(name));
    if (kept === undefined) continue;
    keptOpen.delete(dataset.split(name));
    for (const descriptor of kept.values()) await closeAsync(await descriptor);
  }
}

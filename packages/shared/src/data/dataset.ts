import { close, open, read } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
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
import { frameFault, type IndexEntry, indexFile, readIndex, type ShardIndex } from './shard.js';
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
  /** Null: the shards lie in the folder. */
  readonly source: ShardSource | null;
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

/** Where the shards of a folder come from that need not lie there yet. */
export interface ShardSource {
  /** What names the data set to people and to others that open it. */
  readonly location: string;
  /** Has the file in the folder, sound. */
  fetch(name: string): Promise<void>;
  /** The file's bytes are not those of its index: the next {@link fetch} has it anew. */
  discard(name: string): Promise<void>;
}

export interface Dataset {
  /** The folder; of a bucket, its cache. */
  readonly directory: string;
  /** What it was opened by: the folder, or a bucket's URL. */
  readonly location: string;
  readonly digest: string;
  readonly vocabulary: Vocabulary;
  readonly manifest: DatasetManifest;
  split(name: SplitName): Split;
}

/**
 * Opens a data folder: its manifest, vocabulary and indexes must agree by their hashes, and each shard must have the
 * size its index states. Records are checked as they are read.
 * @param source null: every shard lies in the folder
 * @throws ShowtellError `data/folder-not-indexed`, `data/folder-unreadable`, `data/index-unreadable`,
 *   `data/vocabulary-unreadable`, `data/shard-unreadable`, `file/missing`
 */
export async function openDataset(directory: string, source: ShardSource | null = null): Promise<Dataset> {
  const manifest = await readManifest(directory);
  const vocabularyFile = join(directory, manifest.vocabulary.file);
  const vocabulary = await readVocabulary(vocabularyFile);
  if (vocabulary.sha256 !== manifest.vocabulary.sha256) {
    const detail = 'its words are not those the records were made with (dataset.json has another hash)';
    throw new ShowtellError('data/vocabulary-unreadable', { file: vocabularyFile, detail });
  }
  const splits = {
    train: await openSplit(directory, 'train', manifest.splits.train, source),
    val: await openSplit(directory, 'val', manifest.splits.val, source),
    test: await openSplit(directory, 'test', manifest.splits.test, source),
  };
  const digests = { train: splits.train.digest, val: splits.val.digest, test: splits.test.digest };
  if (datasetDigest(vocabulary.sha256, digests) !== manifest.digest) throw disagreement(directory, 'its digest');
  const location = source?.location ?? directory;
  return { directory, location, digest: manifest.digest, vocabulary, manifest, split: (name) => splits[name] };
}

/** @throws ShowtellError `data/folder-not-indexed`, `data/folder-unreadable` */
export async function readManifest(directory: string): Promise<DatasetManifest> {
  const file = join(directory, MANIFEST_FILE);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ShowtellError('data/folder-not-indexed', { directory }, { cause });
  });
  return parseManifest(text, file);
}

/** The manifest of a file's text. @throws ShowtellError `data/folder-unreadable` */
export function parseManifest(text: string, file: string): DatasetManifest {
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

async function openSplit(
  directory: string,
  name: SplitName,
  manifest: SplitManifest,
  source: ShardSource | null,
): Promise<Split> {
  const shards = manifest.shards.map(({ file, records }) => ({ file: join(directory, file), records }));
  const indexes: ShardIndex[] = [];
  for (const [i, shard] of shards.entries()) {
    const index = await readIndex(indexFile(shard.file));
    if (index.sha256 !== manifest.shards[i]?.indexSha256 || index.count !== shard.records) {
      throw disagreement(directory, `shard ${i} of ${name}`);
    }
    if (source === null) await checkSize(shard.file, index, `Shard ${i} of ${name},`);
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
    source,
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

async function checkSize(file: string, { shardBytes }: ShardIndex, what: string): Promise<void> {
  const { size } = await stat(file).catch((cause: unknown) => {
    throw new ShowtellError('file/missing', { file, what }, { cause });
  });
  if (size === shardBytes) return;
  const detail = `it has ${size} bytes where its index has ${shardBytes}`;
  throw new ShowtellError('data/shard-unreadable', { file, detail });
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

function corrupt(split: Split, { shard, offset }: RecordRef, detail: string): ShowtellError {
  const file = split.shards[shard]?.file ?? split.name;
  return new ShowtellError('data/record-corrupt', { file, shard, offset, detail });
}

/** What the index says of a record. @throws ShowtellError `data/record-corrupt` when it has no such record */
function entryOf(split: Split, ref: RecordRef): IndexEntry {
  const index = split.index(ref.shard);
  const record = index.at(ref.offset);
  if (record < 0 || index.length(record) !== ref.length) throw corrupt(split, ref, 'the index has no such record');
  return { offset: ref.offset, length: ref.length, crc: index.crc(record) };
}

/**
 * The record's data out of its frame, a view.
 * @throws ShowtellError `data/record-corrupt` when the bytes aren't those the index fixes
 */
function unwrapFrame(split: Split, ref: RecordRef, entry: IndexEntry, frame: Buffer): Uint8Array {
  const fault = frameFault(frame, entry);
  if (fault !== null) throw corrupt(split, ref, fault);
  return frame.subarray(HEADER_BYTES, HEADER_BYTES + ref.length);
}

const openAsync = promisify(open);
const readAsync = promisify(read);
const closeAsync = promisify(close);

/** Shards kept open between reads; im2txt's 268 fit, and a process may have 1,024 files open. */
const KEPT_OPEN = 512;
const keptOpen = new WeakMap<Split, Map<number, Promise<number>>>();
/** Of shards that were to be had anew: others may be reading them still. */
const outdated = new WeakMap<Split, Promise<number>[]>();

/**
 * Reads and checks one record. Shards stay open until {@link closeRecords}; those of a bucket are fetched first.
 * @throws ShowtellError `data/record-corrupt`, naming shard and offset, when the bytes aren't those the index fixes;
 *   `file/missing` when the shard is gone; as {@link ShardSource.fetch}
 */
export async function readRecord(split: Split, ref: RecordRef): Promise<Uint8Array> {
  const file = split.shards[ref.shard]?.file;
  if (file === undefined) throw corrupt(split, ref, 'the data set has no such shard');
  // Before memory is taken: the reference comes with a unit, by message.
  const entry = entryOf(split, ref);
  const kept = keptOpen.get(split) ?? new Map<number, Promise<number>>();
  keptOpen.set(split, kept);
  let descriptor = kept.get(ref.shard);
  const keep = descriptor !== undefined || kept.size < KEPT_OPEN;
  if (descriptor === undefined) {
    descriptor = openShard(split, ref.shard, file);
    if (keep) kept.set(ref.shard, descriptor);
    descriptor.catch(() => kept.delete(ref.shard));
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
    return unwrapFrame(split, ref, entry, frame.subarray(0, filled));
  } finally {
    if (!keep) await closeAsync(fd);
  }
}

async function openShard(split: Split, shard: number, file: string): Promise<number> {
  await split.source?.fetch(basename(file));
  return openAsync(file, 'r').catch((cause: unknown) => {
    throw new ShowtellError('file/missing', { file, what: `Shard ${shard} of ${split.name},` }, { cause });
  });
}

/** Has a shard of a bucket fetched anew before it is read again; one of a folder is opened again. */
export async function renewShard(split: Split, shard: number): Promise<void> {
  const file = split.shards[shard]?.file;
  const kept = keptOpen.get(split);
  const descriptor = kept?.get(shard);
  if (kept === undefined || descriptor === undefined || file === undefined) return;
  kept.delete(shard);
  outdated.set(split, [...(outdated.get(split) ?? []), descriptor]);
  await split.source?.discard(basename(file));
}

/** Closes the shards of a dataset that {@link readRecord} keeps open. No read may be under way. */
export async function closeRecords(dataset: Dataset): Promise<void> {
  for (const name of SPLIT_NAMES) {
    const split = dataset.split(name);
    const descriptors = [...(keptOpen.get(split)?.values() ?? []), ...(outdated.get(split) ?? [])];
    keptOpen.delete(split);
    outdated.delete(split);
    for (const descriptor of descriptors) await closeAsync(await descriptor);
  }
}

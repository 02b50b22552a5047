import { readFileSync } from 'node:fs';
import { crc32c } from '@node-rs/crc32';
import { parseManifest } from '@showtell/shared/data/dataset.js';
import {
  decodeCaptionExample,
  decodeCaptionIds,
  encodeCaptionExample,
} from '@showtell/shared/data/sequence-example.js';
import { decodeIndex } from '@showtell/shared/data/shard.js';
import { frameRecord, scanSource } from '@showtell/shared/data/tfrecord.js';
import { parseVocabulary } from '@showtell/shared/data/vocabulary.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { sealIndex, sealRecords } from '../seal.js';
import type { FuzzTarget } from '../target.js';

const fixture = (name: string): Buffer => readFileSync(new URL(`../../parity/data/${name}`, import.meta.url));

const sourceOf = (bytes: Buffer): Parameters<typeof scanSource>[0] => ({
  file: 'records',
  size: bytes.length,
  read: async (into, offset, length, position) => ({
    bytesRead: bytes.copy(into, offset, position, position + length),
  }),
});

async function scan(bytes: Buffer): Promise<void> {
  for await (const { data, offset, sound } of scanSource(sourceOf(bytes))) if (sound) decodeOrRefuse(data, offset);
}

/** A record that is refused does not end the reading of its file. */
function decodeOrRefuse(data: Buffer, offset: number): void {
  try {
    decodeCaptionExample(data, `byte ${offset}`);
  } catch (error) {
    if (!(error instanceof ShowtellError)) throw error;
  }
}

const tfrecord: FuzzTarget = {
  name: 'tfrecord',
  what: 'TFRecord files: framing, then each record',
  seeds: () => ({
    'two-frames': Buffer.concat([frameRecord(Buffer.from('one')), frameRecord(Buffer.alloc(0))]),
    'im2txt-start': fixture('im2txt.tfrecord').subarray(0, 1_100),
  }),
  run: async (input) => {
    await scan(((input.at(-1) ?? 0) & 1) === 0 ? sealRecords(input) : input);
  },
};

/** As ShardWriter writes it. */
function indexOf(lengths: readonly number[]): Buffer {
  const bytes = Buffer.alloc(24 + 16 * lengths.length);
  bytes.write('STINDEX1', 'latin1');
  let end = 0;
  for (const [i, length] of lengths.entries()) {
    bytes.writeBigUInt64LE(BigInt(end + 12), 24 + 16 * i);
    bytes.writeUInt32LE(length, 32 + 16 * i);
    bytes.writeUInt32LE(crc32c(Buffer.of(i)), 36 + 16 * i);
    end += 16 + length;
  }
  bytes.writeBigUInt64LE(BigInt(end), 8);
  bytes.writeUInt32LE(lengths.length, 16);
  return sealIndex(bytes);
}

const shardIndex: FuzzTarget = {
  name: 'shard-index',
  what: 'SHARD.index',
  seeds: () => ({ empty: indexOf([]), 'one-record': indexOf([7]), 'three-records': indexOf([100, 0, 3]) }),
  run: (input) => {
    const index = decodeIndex(sealIndex(input), 'a.index');
    for (let i = 0; i < index.count; i++)
      if (index.at(index.offset(i)) !== i) throw new Error(`record ${i} is not found at its offset`);
    decodeIndex(input, 'a.index');
  },
};

const ids = Int32Array.of(1, 3, 70_000, 2);
const example = { imageId: 9, jpeg: Buffer.from('ffd8ffd9', 'hex'), words: ['<S>', 'a', 'größer', '</S>'], ids };

const sequenceExample: FuzzTarget = {
  name: 'sequence-example',
  what: 'SequenceExample: image–caption pairs',
  seeds: () => ({
    pair: encodeCaptionExample(example),
    'no-words': encodeCaptionExample({ ...example, words: [], ids: new Int32Array() }),
    im2txt: fixture('im2txt.tfrecord').subarray(12, 12 + fixture('im2txt.tfrecord').readUInt32LE(0)),
  }),
  run: (input) => {
    let whole: Int32Array | null = null;
    try {
      whole = decodeCaptionExample(input).ids;
    } finally {
      if (whole !== null && !whole.every((id, i) => decodeCaptionIds(input).ids[i] === id))
        throw new Error('the two decoders disagree');
    }
  },
};

const hash = 'ab'.repeat(32);
const split = { shards: [], records: 0, excluded: [], images: 0, captions: null, digest: hash };
const manifest = {
  format: 'showtell-dataset-1',
  source: { kind: 'synth', seed: 1 },
  vocabulary: { file: 'word_counts.txt', size: 12, sha256: hash },
  splits: {
    train: {
      ...split,
      shards: [{ file: 'train-00000-of-00001', records: 2, bytes: 90, indexSha256: hash }],
      records: 2,
      excluded: [{ shard: 0, record: 1, reason: 'it is 33 words long' }],
      captions: 'captions_train.json',
    },
    val: split,
    test: split,
  },
  skipped: [{ imageId: 7, file: 'images/7.jpg', reason: 'it does not decode' }],
  digest: hash,
};

const datasetManifest: FuzzTarget = {
  name: 'dataset-manifest',
  what: 'dataset.json',
  seeds: () => ({ synth: Buffer.from(JSON.stringify(manifest)), object: Buffer.from('{}') }),
  run: (input) => {
    const { splits, vocabulary } = parseManifest(input.toString(), 'dataset.json');
    for (const { file } of [vocabulary, ...splits.train.shards, ...splits.val.shards, ...splits.test.shards])
      if (/[/\\\0]|^\.{1,2}$/.test(file)) throw new Error(`it names the file ${JSON.stringify(file)}`);
  },
};

const vocabulary: FuzzTarget = {
  name: 'vocabulary',
  what: 'word_counts.txt',
  seeds: () => ({
    small: Buffer.from('a 969108\n<S> 586368\n</S> 586368\n. 440479\non 213612'),
    unknown: Buffer.from('<S> 2\n<UNK> 2\n</S> 1\n'),
  }),
  run: (input) => {
    const read = parseVocabulary(input.toString(), 'word_counts.txt');
    for (let i = 0; i < read.size; i++)
      if (read.id(read.word(i)) !== i) throw new Error(`word ${i} has id ${read.id(read.word(i))}`);
  },
};

export const dataTargets = [tfrecord, shardIndex, sequenceExample, datasetManifest, vocabulary];

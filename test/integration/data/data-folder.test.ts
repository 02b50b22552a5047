import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { indexFolder } from '@showtell/coordinator/data/index-folder.js';
import { silent } from '@showtell/coordinator/data/progress.js';
import { synthesize, type SynthOptions } from '@showtell/coordinator/data/synth.js';
import { verifyFolder } from '@showtell/coordinator/data/verify-folder.js';
import { closeRecords, openDataset, readRecord } from '@showtell/shared/data/dataset.js';
import { decodeCaptionExample, encodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { ShardWriter } from '@showtell/shared/data/shard.js';
import { frameRecord } from '@showtell/shared/data/tfrecord.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

function options(directory: string, other: Partial<SynthOptions> = {}): SynthOptions {
  return {
    directory,
    seed: 5,
    pictures: { train: 8, val: 2, test: 2 },
    size: 32,
    objects: 1,
    maxCount: 1,
    backgrounds: 1,
    captions: 3,
    shards: { train: 2, val: null, test: null },
    threads: 2,
    progress: silent,
    ...other,
  };
}

/** All files of a folder, those in folders too. */
function contents(folder: string): Map<string, Buffer> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(files.map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name))]));
}

let made: Map<string, Buffer>;

function madeDigest(): string {
  return (JSON.parse(made.get('dataset.json')!.toString()) as { digest: string }).digest;
}

/** A fresh copy of one and the same small data folder. */
function dataFolder(): string {
  const folder = temporaryFolder();
  for (const [name, bytes] of made) if (!name.endsWith('.jpg')) writeFileSync(join(folder, name), bytes);
  return folder;
}

function patch(file: string, at: number, change: (byte: number) => number): void {
  const bytes = readFileSync(file);
  bytes[at] = change(bytes[at]!);
  writeFileSync(file, bytes);
}

beforeAll(async () => {
  const folder = join(tmpdir(), `showtell-test-synth-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  await synthesize(options(folder));
  made = contents(folder);
  rmSync(folder, { recursive: true });
});

describe('data synth', () => {
  it('draws the same folder to the byte from the same seed, and another from another', async () => {
    const folder = temporaryFolder();
    await synthesize(options(folder, { threads: 1 }));
    expect(contents(folder)).toEqual(made);
    const other = await synthesize(options(temporaryFolder(), { seed: 6 }));
    expect(other?.digest).not.toBe(madeDigest());
  });

  it('keeps train, val and test apart and each with references', async () => {
    const dataset = await openDataset(dataFolder());
    const ids = (['train', 'val', 'test'] as const).map((name) => {
      const file = dataset.split(name).captionsFile ?? '';
      return (JSON.parse(readFileSync(file, 'utf8')) as { images: { id: number }[] }).images.map(({ id }) => id);
    });
    expect(ids).toEqual([[1, 2, 3, 4, 5, 6, 7, 8], [9, 10], [11, 12]]);
    expect((['train', 'val', 'test'] as const).map((name) => dataset.split(name).count)).toEqual([24, 6, 6]);
  });

  it('does nothing when the folder is complete, and refuses one of other options', async () => {
    const folder = temporaryFolder();
    await synthesize(options(folder));
    expect(await synthesize(options(folder))).toBeNull();
    const before = contents(folder);
    await expect(synthesize(options(folder, { seed: 9 }))).rejects.toMatchObject({ code: 'data/folder-occupied' });
    expect(contents(folder)).toEqual(before);
    await expect(synthesize(options(folder, { objects: 9 }))).rejects.toMatchObject({ code: 'usage/invalid' });
  });
});

describe('a data folder', () => {
  it('reads every record by random access', async () => {
    const dataset = await openDataset(dataFolder());
    const split = dataset.split('train');
    const seen = new Set<string>();
    for (let i = split.count - 1; i >= 0; i--) {
      const { imageId, words } = decodeCaptionExample(await readRecord(split, split.record(i)));
      seen.add(`${imageId} ${words.join(' ')} ${i}`);
    }
    expect(seen.size).toBe(24);
    expect(() => split.record(24)).toThrow(RangeError);
    await closeRecords(dataset);
  });

  it('names shard and byte of a record with a flipped bit, and reads its neighbours', async () => {
    const folder = dataFolder();
    const ref = (await openDataset(folder)).split('train').record(1);
    patch(join(folder, 'train-00000-of-00002'), ref.offset + 700, (byte) => byte ^ 4);
    const dataset = await openDataset(folder);
    const split = dataset.split('train');
    await expect(readRecord(split, ref)).rejects.toMatchObject({
      code: 'data/record-corrupt',
      facts: { shard: 0, offset: ref.offset },
      message: expect.stringContaining(`byte ${ref.offset} of shard 0`) as string,
    });
    await expect(readRecord(split, split.record(0))).resolves.toBeInstanceOf(Uint8Array);
    await expect(readRecord(split, split.record(2))).resolves.toBeInstanceOf(Uint8Array);
    await closeRecords(dataset);
    const { records, faults } = await verifyFolder(folder, true, silent);
    expect([records, faults.map(({ offset }) => offset)]).toEqual([36, [ref.offset]]);
  });

  it('refuses a record that is sound by itself but not the one indexed', async () => {
    const folder = dataFolder();
    const file = join(folder, 'train-00001-of-00002');
    const split = (await openDataset(folder)).split('train');
    const ref = split.record(split.count - 1);
    const bytes = readFileSync(file);
    const other = Buffer.from(bytes.subarray(ref.offset, ref.offset + ref.length));
    other[500]! ^= 1;
    frameRecord(other).copy(bytes, ref.offset - 12);
    writeFileSync(file, bytes);
    await expect(readRecord(split, ref)).rejects.toThrow(/not the one in the index/);
    await expect(readRecord(split, { ...ref, offset: ref.offset + 1 })).rejects.toThrow(/the index has no such record/);
  });

  it.each<[string, (folder: string) => void, string, RegExp]>([
    ['a shard cut short', (f) => truncateSync(join(f, 'train-00001-of-00002'), 999), 'data/shard-unreadable', /999 bytes/],
    ['an empty shard', (f) => truncateSync(join(f, 'train-00001-of-00002'), 0), 'data/shard-unreadable', / 0 bytes/],
    ['a missing shard', (f) => rmSync(join(f, 'val-00000-of-00001')), 'file/missing', /Shard 0 of val, .* does not exist/],
    ['no index', (f) => rmSync(join(f, 'val-00000-of-00001.index')), 'data/index-unreadable', /no such file/],
    [
      'a damaged index',
      (f) => patch(join(f, 'val-00000-of-00001.index'), 41, (byte) => byte ^ 1),
      'data/index-unreadable',
      /its CRC is wrong/,
    ],
    [
      "another shard's index",
      (f) => copyFileSync(join(f, 'test-00000-of-00001.index'), join(f, 'val-00000-of-00001.index')),
      'data/folder-unreadable',
      /shard 0 of val is not what the indexes beside it give/,
    ],
    ['no dataset.json', (f) => rmSync(join(f, 'dataset.json')), 'data/folder-not-indexed', /has no dataset\.json/],
    ['a broken dataset.json', (f) => truncateSync(join(f, 'dataset.json'), 50), 'data/folder-unreadable', /no JSON/],
    [
      'a dataset.json with an unknown field',
      (f) => writeFileSync(join(f, 'dataset.json'), '{"format":"showtell-dataset-1","extra":1}'),
      'data/folder-unreadable',
      /source|extra/,
    ],
    [
      'a record excluded behind the digest’s back',
      (f) => {
        const file = join(f, 'dataset.json');
        const text = readFileSync(file, 'utf8');
        writeFileSync(file, text.replace('"excluded": []', '"excluded": [{"shard":0,"record":0,"reason":"x"}]'));
      },
      'data/folder-unreadable',
      /the digest of train/,
    ],
    [
      'another vocabulary',
      (f) => writeFileSync(join(f, 'word_counts.txt'), '<S> 3\n</S> 3\na 2'),
      'data/vocabulary-unreadable',
      /not those the records were made with/,
    ],
    ['no vocabulary', (f) => rmSync(join(f, 'word_counts.txt')), 'file/missing', /The vocabulary/],
  ])('with %s is refused by name', async (_, damage, code, message) => {
    const folder = dataFolder();
    damage(folder);
    const opened = openDataset(folder);
    await expect(opened).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });
});

describe('data index', () => {
  const index = (directory: string, more: object = {}) =>
    indexFolder({ directory, decode: true, excludeCorrupt: false, maxWords: 100, progress: silent, ...more });

  /** Only what im2txt would have left. */
  function fromIm2txt(): string {
    const folder = temporaryFolder();
    for (const [name, bytes] of made) {
      if (/-of-\d{5}$/.test(name) || name === 'word_counts.txt') writeFileSync(join(folder, name), bytes);
    }
    return folder;
  }

  it('gives im2txt’s files the digest that building them gave, and captions from the records', async () => {
    const folder = fromIm2txt();
    const manifest = await index(folder);
    expect(manifest.digest).toBe(madeDigest());
    const dataset = await openDataset(folder);
    expect(dataset.digest).toBe(madeDigest());
    const captions = JSON.parse(readFileSync(join(folder, 'captions-val.json'), 'utf8')) as { images: object[] };
    expect(captions.images).toHaveLength(2);
  });

  it('excludes by name what no training can use, and hashes the list', async () => {
    const folder = fromIm2txt();
    const before = await index(folder);
    const file = join(folder, 'val-00000-of-00001');
    const split = (await openDataset(folder)).split('val');
    const good = decodeCaptionExample(await readRecord(split, split.record(0)));
    const [start, end] = ['<S>', '</S>'];
    const ids = (words: readonly string[]) => Int32Array.from(words, (word) => (word === start ? 1 : word === end ? 3 : 0));
    const long = [start, ...Array.from({ length: 500 }, () => 'the'), end];
    {
      await using writer = new ShardWriter(file);
      await writer.append(encodeCaptionExample({ ...good, imageId: 1, jpeg: Buffer.from('no picture') }));
      await writer.append(encodeCaptionExample(good));
      await writer.append(encodeCaptionExample({ ...good, words: [start, end], ids: ids([start, end]) }));
      await writer.append(encodeCaptionExample({ ...good, words: long, ids: ids(long) }));
      await writer.append(Buffer.from('no SequenceExample'));
      await writer.append(encodeCaptionExample({ ...good, imageId: 77 }));
      await writer.close();
    }
    const manifest = await index(folder);
    expect(manifest.splits.val.excluded.map(({ record, reason }) => `${record} ${reason}`)).toEqual([
      expect.stringMatching(/^0 its picture does not decode/) as string,
      '2 its caption has 0 words, not 1 to 100',
      '3 its caption has 500 words, not 1 to 100',
      expect.stringMatching(/^4 Record 4 of val-00000-of-00001 holds no image–caption pair/) as string,
    ]);
    const dataset = await openDataset(folder);
    const val = dataset.split('val');
    expect([val.count, manifest.splits.val.records]).toEqual([2, 6]);
    expect(decodeCaptionExample(await readRecord(val, val.record(1))).imageId).toBe(77);
    const undecoded = await index(folder, { decode: false });
    expect(new Set([before.digest, manifest.digest, undecoded.digest]).size).toBe(3);
    await closeRecords(dataset);
  });

  it('refuses a corrupt record, or excludes it when told', async () => {
    const folder = fromIm2txt();
    patch(join(folder, 'train-00001-of-00002'), 300, (byte) => byte ^ 1);
    await expect(index(folder)).rejects.toMatchObject({ code: 'data/record-corrupt', facts: { shard: 1, offset: 12 } });
    const manifest = await index(folder, { excludeCorrupt: true });
    expect(manifest.splits.train.excluded.map(({ shard, record }) => [shard, record])).toEqual([[1, 0]]);
    expect((await openDataset(folder)).split('train').count).toBe(23);
  });

  it.each<[string, (folder: string) => void, string, RegExp]>([
    ['a shard that is missing', (f) => rmSync(join(f, 'train-00001-of-00002')), 'file/missing', /train-00001-of-00002/],
    ['shards of two builds', (f) => writeFileSync(join(f, 'train-00000-of-00003'), ''), 'data/shard-unreadable', /one of/],
    ['a file that is no TFRecord', (f) => writeFileSync(join(f, 'val-00000-of-00001'), 'x'.repeat(99)), 'data/shard-unreadable', /byte 0/],
    [
      'empty TFRecord files',
      (f) => {
        truncateSync(join(f, 'train-00000-of-00002'));
        truncateSync(join(f, 'train-00001-of-00002'));
      },
      'data/folder-unreadable',
      /train has 0 records/,
    ],
    ['no vocabulary', (f) => rmSync(join(f, 'word_counts.txt')), 'file/missing', /word_counts\.txt/],
    [
      'a vocabulary too small for the records',
      (f) => writeFileSync(join(f, 'word_counts.txt'), '<S> 9\n</S> 9\na 3'),
      'data/vocabulary-unreadable',
      /has word id \d+/,
    ],
    ['no TFRecords', (f) => readdirSync(f).forEach((name) => rmSync(join(f, name))), 'file/missing', /train-00000-of-00256/],
  ])('refuses a folder with %s', async (_, damage, code, message) => {
    const folder = fromIm2txt();
    damage(folder);
    await expect(index(folder)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });
});

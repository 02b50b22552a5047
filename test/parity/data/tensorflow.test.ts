import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { synthesize } from '@showtell/coordinator/data/synth.js';
import { silent } from '@showtell/coordinator/data/progress.js';
import { openDataset, readRecord } from '@showtell/shared/data/dataset.js';
import { decodeCaptionExample, decodeCaptionIds, encodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { ShardWriter } from '@showtell/shared/data/shard.js';
import { scanRecords } from '@showtell/shared/data/tfrecord.js';
import { runPython, tensorflowPython } from '../../support/parity-python.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

interface Row {
  imageId: number;
  /** Base64. */
  jpeg: string;
  words: string[];
  ids: number[];
}

const fixture = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const expected = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Row[];
const python = await tensorflowPython();

function toRow(bytes: Uint8Array): Row {
  const { imageId, jpeg, words, ids } = decodeCaptionExample(bytes);
  return { imageId, jpeg: Buffer.from(jpeg).toString('base64'), words: [...words], ids: [...ids] };
}

describe('TFRecords of real TensorFlow', () => {
  it.each(['im2txt.tfrecord', 'deterministic.tfrecord'])('are read: %s', async (name) => {
    const rows: Row[] = [];
    for await (const { data, sound } of scanRecords(fixture(name))) {
      expect(sound).toBe(true);
      rows.push(toRow(data));
      expect([...decodeCaptionIds(data).ids]).toEqual(rows.at(-1)?.ids);
    }
    expect(rows).toEqual(expected);
  });

  it('are written to the byte as TensorFlow writes the same pairs', async () => {
    const file = join(temporaryFolder(), 'written.tfrecord');
    await using writer = new ShardWriter(file);
    for (const { imageId, jpeg, words, ids } of expected) {
      const pair = { imageId, jpeg: Buffer.from(jpeg, 'base64'), words, ids: Int32Array.from(ids) };
      await writer.append(encodeCaptionExample(pair));
    }
    await writer.close();
    expect(readFileSync(file).equals(readFileSync(fixture('deterministic.tfrecord')))).toBe(true);
  });

  it.skipIf(python === null)(
    'written here are read by TFRecordDataset and parse_single_sequence_example (needs a Python with TensorFlow)',
    async () => {
      const directory = temporaryFolder();
      const pictures = { train: 6, val: 1, test: 1 };
      const shards = { train: 2, val: null, test: null };
      const looks = { size: 32, objects: 2, maxCount: 2, backgrounds: 4, captions: 5 };
      await synthesize({ directory, seed: 3, pictures, shards, ...looks, threads: 2, progress: silent });
      const split = (await openDataset(directory)).split('train');
      const here: Row[] = [];
      for (let i = 0; i < split.count; i++) here.push(toRow(await readRecord(split, split.record(i))));
      const files = split.shards.map(({ file }) => file);
      const lines = runPython(python ?? '', fixture('read_with_tensorflow.py'), ...files).trim().split('\n');
      const theirs = lines.map((line) => JSON.parse(line) as Row & { shape: number[] });
      expect(theirs).toEqual(here.map((row) => ({ ...row, shape: [32, 32, 3] })));
      expect(here).toHaveLength(30);
    },
    120_000,
  );
});

import { readFileSync } from 'node:fs';
import { openBundle } from '@showtell/coordinator/checkpoints/tensorflow/bundle.js';
import { unsnappy } from '@showtell/coordinator/checkpoints/tensorflow/snappy.js';
import { tableBytes } from '@showtell/coordinator/checkpoints/tensorflow/table-writer.js';
import { openV1 } from '@showtell/coordinator/checkpoints/tensorflow/v1.js';
import { TableReader } from '@showtell/coordinator/checkpoints/tensorflow/table-reader.js';
import { FileBytes } from '@showtell/coordinator/checkpoints/tensorflow/file-bytes.js';
import { tensorflowFixture } from '../../support/tensorflow-fixtures.js';
import { scratchFile, scratchFolder } from '../scratch.js';
import { sealTable } from '../seal.js';
import type { FuzzTarget } from '../target.js';
import { readAll } from './checkpoints.js';

const ckpt = 'model.ckpt-12345';
const formats = (...names: string[]): string => tensorflowFixture('formats', ...names);

/** A table with the entries whose keys come first: small enough for a corpus. */
function firstEntries(file: string, count: number): Buffer {
  const entries = [...new TableReader(new FileBytes(file)).entries()];
  return tableBytes(entries.slice(0, count));
}

const v1: FuzzTarget = {
  name: 'tensorflow-v1',
  what: 'TensorFlow V1 checkpoints: table, Snappy, SavedTensorSlices',
  seeds: () => ({
    fixture: readFileSync(formats('v1', ckpt)),
    'shard-1': readFileSync(formats('v1-sharded', `${ckpt}-00001-of-00003`)),
    'empty-table': tableBytes([]),
  }),
  run: (input) => {
    const file = scratchFile('v1', ((input.at(0) ?? 0) & 1) === 0 ? sealTable(input) : input);
    readAll(openV1([file], file));
  },
};

/** Of the data file, which comes before the index; it goes on with zeros. */
const dataBytes = 512;
const zeros = Buffer.alloc(12_000);

const v2: FuzzTarget = {
  name: 'tensorflow-v2',
  what: 'TensorFlow V2 checkpoints (also those within a SavedModel): index and data',
  seeds: () => {
    const data = readFileSync(formats('v2', `${ckpt}.data-00000-of-00001`)).subarray(0, dataBytes);
    return {
      'index-whole': Buffer.concat([data, readFileSync(formats('v2', `${ckpt}.index`))]),
      'index-start': Buffer.concat([data, firstEntries(formats('v2', `${ckpt}.index`), 3)]),
      'index-sharded': Buffer.concat([data, readFileSync(formats('v2-sharded', `${ckpt}.index`))]),
    };
  },
  run: (input) => {
    const index = input.subarray(dataBytes);
    const prefix = `${scratchFolder()}/v2`;
    scratchFile('v2.data-00000-of-00001', Buffer.concat([input.subarray(0, dataBytes), zeros]));
    scratchFile('v2.index', ((input.at(0) ?? 0) & 1) === 0 ? sealTable(index) : index);
    readAll(openBundle(prefix, prefix));
  },
};

const snappy: FuzzTarget = {
  name: 'snappy',
  what: 'Snappy blocks of those tables',
  seeds: () => ({
    literal: Buffer.from('0b28' + Buffer.from('hello world').toString('hex'), 'hex'),
    run: Buffer.from('140061460100', 'hex'),
  }),
  run: (input) => void unsnappy(input),
  alsoThrows: (error) => error instanceof RangeError,
};

export const tensorflowTargets = [v1, v2, snappy];

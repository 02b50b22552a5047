import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TableEntry } from '@showtell/coordinator/checkpoints/tensorflow/block.js';
import { FileBytes } from '@showtell/coordinator/checkpoints/tensorflow/file-bytes.js';
import { sliceKey } from '@showtell/coordinator/checkpoints/tensorflow/slice-key.js';
import { TableReader } from '@showtell/coordinator/checkpoints/tensorflow/table-reader.js';
import { tableBytes } from '@showtell/coordinator/checkpoints/tensorflow/table-writer.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

function open(bytes: Uint8Array): TableReader {
  const file = join(temporaryFolder(), 'table');
  writeFileSync(file, bytes);
  return new TableReader(new FileBytes(file));
}

const row = (key: string, value: string): TableEntry => ({ key: Buffer.from(key), value: Buffer.from(value) });

const text = ({ key, value }: TableEntry): string => `${key.toString()}: ${value.toString()}`;

describe('a table', () => {
  it('gives back what was put in, over many blocks, and finds each key', () => {
    const rows = Array.from({ length: 2000 }, (_, i) =>
      row(`scope/${String(i).padStart(6, '0')}/weights`, 'v'.repeat(i % 900)),
    );
    const table = open(tableBytes(rows));
    expect([...table.entries()].map(text)).toEqual(rows.map(text));
    for (const { key, value } of [rows[0]!, rows[700]!, rows[701]!, rows[1999]!]) expect(table.get(key)).toEqual(value);
    for (const absent of ['', 'scope/000000', 'scope/000700/weightt', 'z'])
      expect(table.get(Buffer.from(absent))).toBeNull();
  });

  it('may be empty', () => {
    expect([...open(tableBytes([])).entries()]).toEqual([]);
  });

  it('keeps any keys and values', () => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(fc.array(fc.tuple(bytes, bytes), { maxLength: 60 }), (pairs) => {
        const unique = new Map(pairs.map(([key, value]) => [Buffer.from(key).toString('hex'), Buffer.from(value)]));
        const rows = [...unique]
          .map(([key, value]) => ({ key: Buffer.from(key, 'hex'), value }))
          .sort((a, b) => Buffer.compare(a.key, b.key));
        expect([...open(tableBytes(rows)).entries()]).toEqual(rows);
      }),
      { numRuns: 50 },
    );
  });
});

/** TensorFlow's OrderedCode by its rules; that they are TensorFlow's, partitioned variables in test/parity show. */
describe('the key of a slice', () => {
  const key = (name: string, ...stated: [number, number][]): string =>
    sliceKey(
      name,
      stated.map(([start, length]) => ({ start, length })),
    ).toString('hex');

  it.each([
    ['a scalar', key('a'), '00' + '610001' + '00'],
    ['a whole dimension', key('a', [0, -1]), '00' + '610001' + '0101' + '80' + '7f'],
    ['one byte up to 63', key('', [63, 1]), '00' + '0001' + '0101' + 'bf' + '81'],
    ['two from 64 on', key('', [64, 8191]), '00' + '0001' + '0101' + 'c040' + 'dfff'],
    ['three from 8192 on', key('', [8192, 1048575]), '00' + '0001' + '0101' + 'e02000' + 'efffff'],
    ['zeros and 255 in a name', key('a\0b'), '00' + '6100ff62' + '0001' + '00'],
  ])('%s', (_, made, expected) => {
    expect(made).toBe(expected);
  });
});

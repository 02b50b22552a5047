import { readFileSync } from 'node:fs';
import { crc32 } from '@node-rs/crc32';
import { describe, expect, it } from 'vitest';
import { openWeights } from '@showtell/coordinator/checkpoints/open-weights.js';
import type { VariableSource } from '@showtell/coordinator/checkpoints/variable-source.js';
import { sizeOf } from '@showtell/shared/tensors/layout.js';
import { fixture } from './fixture.js';

/** A variable as TensorFlow read it back; its values as float32 in base64, null for text. */
interface Expected {
  readonly type: string;
  readonly shape: readonly number[];
  readonly values: string | null;
}
const expected = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Record<string, Record<string, Expected>>;

function contents(source: VariableSource): Record<string, Expected> {
  const rows = source.variables.map((variable): [string, Expected] => {
    const values = new Float32Array(sizeOf(variable.shape));
    if (variable.numeric) variable.read(values);
    const text = Buffer.from(values.buffer).toString('base64');
    return [variable.name, { type: variable.type, shape: variable.shape, values: variable.numeric ? text : null }];
  });
  return Object.fromEntries(rows);
}

const ckpt = 'model.ckpt-12345';

describe('every variable of a checkpoint that TensorFlow wrote has its values to the bit', () => {
  it.each([
    ['V2', `v2/${ckpt}`, 'v2', 'TensorFlow V2 checkpoint'],
    ['V2 by its index', `v2/${ckpt}.index`, 'v2', 'TensorFlow V2 checkpoint'],
    ['V2 by its data', `v2/${ckpt}.data-00000-of-00001`, 'v2', 'TensorFlow V2 checkpoint'],
    ['V2 in three data files', `v2-sharded/${ckpt}`, 'v2-sharded', 'TensorFlow V2 checkpoint'],
    ['V1', `v1/${ckpt}`, 'v1', 'TensorFlow V1 checkpoint'],
    ['V1 in three files', `v1-sharded/${ckpt}`, 'v1-sharded', 'TensorFlow V1 checkpoint'],
    ['V1 by its pattern', `v1-sharded/${ckpt}-?????-of-00003`, 'v1-sharded', 'TensorFlow V1 checkpoint'],
  ])('%s', (_, path, kind, format) => {
    const source = openWeights(fixture('formats', path));
    expect(source.format).toBe(format);
    expect(contents(source)).toEqual(expected[kind]);
  });

  it('with the number of slices of those that were partitioned', () => {
    for (const kind of ['v2', 'v1-sharded']) {
      const { variables } = openWeights(fixture('formats', kind, ckpt));
      const slices = variables.filter((variable) => variable.slices > 1).map(({ name, slices }) => [name, slices]);
      expect(Object.fromEntries(slices)).toEqual({ rows: 3, columns: 3, middle: 4, 'half/rows': 2 });
    }
  });

  it('from blocks that Snappy packed', () => {
    const { variables } = openWeights(fixture('captioner'));
    const named = new Map(variables.map((variable) => [variable.name, variable]));
    const read = (name: string): Float32Array => {
      const variable = named.get(name)!;
      const values = new Float32Array(sizeOf(variable.shape));
      variable.read(values);
      return values;
    };
    expect(variables).toHaveLength(397);
    expect(read('global_step')).toEqual(Float32Array.of(77));
    // generate.py's `filled`: the CRC-32 of the name, and a step every 256 values.
    const name = 'InceptionV3/Conv2d_2b_3x3/weights';
    const values = read(name);
    expect(values).toHaveLength(3 * 3 * 16 * 16);
    expect([...values]).toEqual([...values].map((_, i) => ((crc32(name) % 1024) + (i >> 8)) / 1024));
  });
});

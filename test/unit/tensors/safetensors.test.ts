import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { roundToBfloat16, toBfloat16 } from '@showtell/shared/tensors/bfloat16.js';
import { hashTensors, type NamedTensor } from '@showtell/shared/tensors/hash.js';
import { readSafetensorsHeader, readTensor, writeSafetensors } from '@showtell/shared/tensors/safetensors.js';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.js';

const tensors: NamedTensor[] = [
  { name: 'b/weights', shape: [2, 3], values: Float32Array.of(1, -0, 3.5, Number.MIN_VALUE, 1e38, -7) },
  { name: 'B/weights', shape: [], values: Float32Array.of(42) },
  { name: 'a/empty', shape: [0, 4], values: new Float32Array() },
];

function written(): string {
  const file = path.join(temporaryFolder(), 'x.safetensors');
  writeSafetensors(file, tensors, { format: 'showtell' });
  return file;
}

it('what is written is read back to the bit, in order of code units', () => {
  const content = readSafetensorsHeader(written());
  expect(content.entries.map(({ name }) => name)).toEqual(['B/weights', 'a/empty', 'b/weights']);
  expect(content.metadata).toEqual({ format: 'showtell' });
  for (const { name, shape, values } of tensors) {
    const entry = content.entries.find((found) => found.name === name)!;
    expect(entry.shape).toEqual(shape);
    expect(Array.from(readTensor(content, entry))).toEqual(Array.from(values));
  }
});

it('the bytes are the format: length, JSON padded to 8, data without gaps', () => {
  const bytes = readFileSync(written());
  const length = Number(bytes.readBigUInt64LE());
  expect(length % 8).toBe(0);
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, unknown>;
  expect(header['b/weights']).toEqual({ dtype: 'F32', shape: [2, 3], data_offsets: [4, 28] });
  expect(bytes.length).toBe(8 + length + 28);
  expect(bytes.readFloatLE(8 + length)).toBe(42);
});

it('reads bfloat16 as float32', () => {
  const file = path.join(temporaryFolder(), 'x.safetensors');
  const narrow = new Uint16Array(2);
  toBfloat16(Float32Array.of(1.5, -3), narrow);
  writeFileSync(file, raw({ x: { dtype: 'BF16', shape: [2], data_offsets: [0, 4] } }, Buffer.from(narrow.buffer)));
  const content = readSafetensorsHeader(file);
  expect(Array.from(readTensor(content, content.entries[0]!))).toEqual([1.5, -3]);
});

function raw(header: unknown, data: Uint8Array, length?: bigint): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([start, json, data]);
}

describe('hostile files are refused by what is wrong with them', () => {
  const x = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
  const data = new Uint8Array(4);
  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(3), 'it is 3 bytes long'],
    ['a header beyond the file', raw({ x }, data, 1n << 62n), 'its header should be 4611686018427387904 bytes'],
    ['no JSON', raw('{"x":', data), 'its header is no JSON'],
    ['a list', raw([], data), 'its header is no JSON object'],
    ['an unknown dtype', raw({ x: { ...x, dtype: 'F33' } }, data), 'x has the unknown dtype "F33"'],
    ['a dtype from the prototype', raw({ x: { ...x, dtype: 'toString' } }, data), 'unknown dtype'],
    ['a negative dimension', raw({ x: { ...x, shape: [-1] } }, data), 'x has the shape [-1]'],
    ['a dimension beyond integers', raw({ x: { ...x, shape: [1e300] } }, data), 'x has the shape [1e+300]'],
    ['a range of another size', raw({ x: { ...x, shape: [2] } }, data), 'x takes 4 bytes, its shape and dtype 8'],
    ['a range beyond the file', raw({ x: { ...x, shape: [2], data_offsets: [0, 8] } }, data), 'x ends beyond the file'],
    ['an overlap', raw({ x, y: x }, data), 'y begins at byte'],
    ['a gap', raw({ x: { ...x, data_offsets: [4, 8] } }, new Uint8Array(8)), 'x begins at byte'],
    ['bytes after the last tensor', raw({ x }, new Uint8Array(5)), 'its tensors end at byte'],
    ['metadata that is no strings', raw({ x, __metadata__: { a: 1 } }, data), '__metadata__ is no object of strings'],
  ])('%s', (_, bytes, message) => {
    const file = path.join(temporaryFolder(), 'x.safetensors');
    writeFileSync(file, bytes);
    expect(() => readSafetensorsHeader(file)).toThrow(message);
  });

  it('a tensor of integers is not read as floats', () => {
    const file = path.join(temporaryFolder(), 'x.safetensors');
    writeFileSync(file, raw({ x: { dtype: 'I32', shape: [1], data_offsets: [0, 4] } }, data));
    const content = readSafetensorsHeader(file);
    expect(() => readTensor(content, content.entries[0]!)).toThrow('x is I32, not F32 or BF16');
  });
});

it("the documented Python computes the file's hash", () => {
  const document = readFileSync(new URL('../../../docs/checkpoints.md', import.meta.url), 'utf8');
  const code = /```python\n([\s\S]*?)```/.exec(document)![1]!;
  const { stdout, stderr } = spawnSync('python3', ['-c', code, written()], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout.trim()).toBe(hashTensors(tensors));
});

it('rounding to bfloat16: to nearest, ties to even, infinities, NaN and signed zeros kept', () => {
  const cases: [number, number][] = [
    [1, 1],
    [1 + 2 ** -8, 1],
    [1 + 3 * 2 ** -8, 1 + 2 ** -6],
    [1 + 2 ** -8 + 2 ** -20, 1 + 2 ** -7],
    [-(1 + 2 ** -8), -1],
    [3.4e38, Infinity],
    [Infinity, Infinity],
    [-Infinity, -Infinity],
    [NaN, NaN],
    [-0, -0],
    [2 ** -149, 0],
  ];
  const rounded = roundToBfloat16(Float32Array.from(cases, ([value]) => value));
  for (const [i, [, expected]] of cases.entries()) expect(rounded[i]).toBe(expected);
  const quiet = Float32Array.of(0);
  new Uint32Array(quiet.buffer)[0] = 0x7f80_0001;
  expect(roundToBfloat16(quiet)[0]).toBeNaN();
});

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openWeights } from '@showtell/coordinator/checkpoints/open-weights.js';
import type { TableEntry } from '@showtell/coordinator/checkpoints/tensorflow/block.js';
import { FileBytes } from '@showtell/coordinator/checkpoints/tensorflow/file-bytes.js';
import { TableReader } from '@showtell/coordinator/checkpoints/tensorflow/table-reader.js';
import { tableBytes } from '@showtell/coordinator/checkpoints/tensorflow/table-writer.js';
import { bundleData } from '@showtell/coordinator/checkpoints/tensorflow/write-bundle.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { jobSchema } from '@showtell/shared/job/job.js';
import { parametersOf } from '@showtell/shared/model/parameters.js';
import { sizeOf } from '@showtell/shared/tensors/layout.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';
import { tensorflowFixture } from '../../../support/tensorflow-fixtures.js';

it("im2txt's captioner has as many bytes of data as the checkpoint that im2txt's users published: 149,002,244", () => {
  const zeros = new Float32Array(12_000 * 512);
  const tensors = parametersOf(jobSchema.parse({}).model).map(({ name, shape }) => ({
    name,
    shape,
    type: 'float32' as const,
    values: () => zeros.subarray(0, sizeOf(shape)),
  }));
  const step = { name: 'global_step', shape: [], type: 'int32', values: () => Int32Array.of(1_000_000) } as const;
  let bytes = 0;
  const ends: number[] = [];
  for (const piece of bundleData([...tensors, step], (_, { offset, size }) => ends.push(offset + size)))
    bytes += piece.length;
  expect(bytes).toBe(149_002_244);
  expect(ends.at(-1)).toBe(149_002_244);
});

/** Reads everything there is. */
function readAll(path: string): void {
  for (const variable of openWeights(path).variables) {
    // A shape that a mutation made up must not take the memory that it claims.
    if (variable.numeric && sizeOf(variable.shape) < 1e6) variable.read(new Float32Array(sizeOf(variable.shape)));
  }
}

/** Whatever a file holds, its fault is told as one. */
function onlyShowtellErrors(path: string): void {
  try {
    readAll(path);
  } catch (error) {
    if (!(error instanceof ShowtellError)) throw error;
  }
}

/** Bytes changed, taken away or put in at places. */
const mutations = fc.array(
  fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }), kind: fc.constantFrom('set', 'cut', 'insert') }),
  { minLength: 1, maxLength: 4 },
);
type Mutations = typeof mutations extends fc.Arbitrary<infer M> ? M : never;

function mutate(bytes: Buffer, changes: Mutations): Buffer {
  return changes.reduce<Buffer>((from, { at, byte, kind }) => {
    const place = from.length === 0 ? 0 : at % from.length;
    const rest = from.subarray(kind === 'insert' ? place : place + 1);
    return kind === 'cut'
      ? Buffer.from(from.subarray(0, place))
      : Buffer.concat([from.subarray(0, place), Buffer.of(byte), rest]);
  }, bytes);
}

const ckpt = 'model.ckpt-12345';
const v1 = tensorflowFixture('formats', 'v1', ckpt);
const v2 = tensorflowFixture('formats', 'v2', ckpt);
const data = '.data-00000-of-00001';

describe('damage is told as such, and nothing else comes out', () => {
  it('of the bytes of a V1 file', () => {
    const at = join(temporaryFolder(), ckpt);
    const sound = readFileSync(v1);
    fc.assert(
      fc.property(mutations, (changes) => {
        writeFileSync(at, mutate(sound, changes));
        onlyShowtellErrors(at);
      }),
      { numRuns: 300 },
    );
  });

  it('of the bytes of a V2 index and its data', () => {
    const at = join(temporaryFolder(), ckpt);
    const [index, values] = [readFileSync(`${v2}.index`), readFileSync(`${v2}${data}`)];
    fc.assert(
      fc.property(fc.boolean(), mutations, (isIndex, changes) => {
        writeFileSync(`${at}.index`, isIndex ? mutate(index, changes) : index);
        writeFileSync(`${at}${data}`, isIndex ? values : mutate(values, changes));
        onlyShowtellErrors(at);
      }),
      { numRuns: 300 },
    );
  });

  /** The same below the blocks' CRCs, which would catch all of it. */
  it.each([
    ['V1', v1, ''],
    ['V2', `${v2}.index`, '.index'],
  ])('of the records of a %s table whose CRCs are right', (_, file, suffix) => {
    const at = join(temporaryFolder(), ckpt);
    copyFileSync(`${v2}${data}`, `${at}${data}`);
    const rows: TableEntry[] = [...new TableReader(new FileBytes(file)).entries()];
    fc.assert(
      fc.property(fc.nat(rows.length - 1), fc.boolean(), mutations, (which, isKey, changes) => {
        const changed = rows.map(({ key, value }, i) =>
          i !== which
            ? { key, value }
            : isKey
              ? { key: mutate(key, changes), value }
              : { key, value: mutate(value, changes) },
        );
        writeFileSync(`${at}${suffix}`, tableBytes(changed.sort((a, b) => Buffer.compare(a.key, b.key))));
        onlyShowtellErrors(at);
      }),
      { numRuns: 500 },
    );
  });

  it('also where the mutated file is sound: all is read', () => {
    expect(() => readAll(v1)).not.toThrow();
    expect(() => readAll(v2)).not.toThrow();
  });
});

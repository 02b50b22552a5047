import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCoco } from '@showtell/coordinator/data/build-coco.js';
import { openDataset, type Dataset, type RecordRef } from '@showtell/shared/data/dataset.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';
import type { PictureKey } from '@showtell/worker/input/feature-cache.js';
import { inputRulesOf } from '@showtell/worker/input/input-rules.js';
import { Prefetcher } from '@showtell/worker/input/prefetch.js';
import type { PreparedUnit } from '@showtell/worker/input/prepare-unit.js';
import { buildOptions, writeCocoSet } from '../../support/coco-set.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const haveEngine = existsSync(engineFolder('cpu').addon);
const S = 75;
const pixels = S * S * 3;

const job = (augment: boolean) =>
  parseJob({
    model: { encoder: { imageSize: S, depthMultiplier: 0.1 }, decoder: { embedding: 8, units: 8, vocabulary: 40 } },
    batch: { examples: 4, units: 1, captionLengths: [6, 12] },
    augmentation: { enabled: augment, resize: 80 },
  });

describe.skipIf(!haveEngine)('units made ready in a thread (needs the engine: showtell engine setup)', () => {
  let directory: string;
  let dataset: Dataset;
  let records: RecordRef[];

  const openInput = (augment: boolean, warnings: Error[] = [], where = directory): Promise<Prefetcher> =>
    Prefetcher.open(
      {
        location: where,
        data: { cacheBytes: null },
        engine: { name: 'tensorflow', device: 'cpu' },
        rules: inputRulesOf(job(augment), dataset.vocabulary.unkId),
      },
      (warning) => warnings.push(warning),
    );

  const build = async (folder: string): Promise<string> => {
    const set = await writeCocoSet(
      join(folder, 'coco'),
      Array.from({ length: 12 }, (_, i) => [`a thing number ${'abcdefghijkl'[i]} lies here`, 'a second caption']),
    );
    await buildCoco(buildOptions(set, join(folder, 'data')));
    return join(folder, 'data');
  };

  beforeAll(async () => {
    const { mkdtemp } = await import('node:fs/promises');
    const { tmpdir } = await import('node:os');
    directory = await build(await mkdtemp(join(tmpdir(), 'showtell-test-')));
    dataset = await openDataset(directory);
    const split = dataset.split('train');
    records = [0, 1, 2, 3].map((i) => split.record(i));
  });

  const image = (unit: PreparedUnit, b: number): Float32Array => unit.images.slice(b * pixels, (b + 1) * pixels);

  it('gives the same bits for the same unit, whatever was asked before', async () => {
    await using input = await openInput(true);
    const train = { split: 'train', records, seed: 77, pictures: 'all' } as const;
    const first = await input.prepare(train);
    await input.prepare({ ...train, seed: 78 });
    const again = await input.prepare(train);
    expect(again.images).toEqual(first.images);
    expect(again.dropout).toEqual(first.dropout);
    expect(again.captions).toEqual(first.captions);
    expect(first.places).toEqual([0, 1, 2, 3]);
    expect(first.images.length).toBe(4 * pixels);
    expect(first.images.every((value) => value >= -1 && value <= 1)).toBe(true);
  });

  it('closes though its thread has died, as of memory that it could not get', async () => {
    const input = await openInput(false);
    // What the thread does not catch ends it.
    input.keep(null as never, new Float32Array());
    const lost = input.prepare({ split: 'train', records, seed: 1, pictures: 'all' });
    await expect(lost).rejects.toThrow(/entries/);
    await expect(input.prepare({ split: 'train', records, seed: 1, pictures: 'all' })).rejects.toThrow(/entries/);
    await input[Symbol.asyncDispose]();
  });

  it('distorts training pictures only, each by its seed and place', async () => {
    await using input = await openInput(true);
    const same = [records[0]!, records[0]!];
    const distorted = await input.prepare({ split: 'train', records: same, seed: 5, pictures: 'all' });
    const other = await input.prepare({ split: 'train', records: same, seed: 6, pictures: 'all' });
    const plain = await input.prepare({ split: 'train', records: same, seed: null, pictures: 'all' });
    expect(image(distorted, 0)).not.toEqual(image(distorted, 1));
    expect(image(distorted, 0)).not.toEqual(image(other, 0));
    expect(image(plain, 0)).toEqual(image(plain, 1));
    expect(plain.dropout).toBeNull();
    await using still = await openInput(false);
    const undistorted = await still.prepare({ split: 'train', records: same, seed: 5, pictures: 'all' });
    expect(image(undistorted, 0)).toEqual(image(plain, 0));
  });

  it('decodes no picture whose feature is kept, and all when asked for all', async () => {
    await using input = await openInput(false);
    const unit = { split: 'train', records, seed: 1, pictures: 'unless-cached' } as const;
    const cold = await input.prepare(unit);
    expect(cold.imageOf).toEqual([0, 1, 2, 3]);
    input.useCache({ kind: 'memory', key: 'k' });
    const F = cold.features.length / 4;
    const known: PictureKey[] = [cold.pictureKeys[1]!];
    input.keep(known, new Float32Array(F).fill(0.25));
    const mixed = await input.prepare(unit);
    const b = cold.pictureKeys.map(({ imageId }) => imageId === known[0]!.imageId);
    expect(mixed.imageOf).toEqual([0, 1, 2, 3].filter((i) => !b[i]));
    expect(mixed.features.subarray(F, 2 * F)).toEqual(new Float32Array(F).fill(0.25));
    expect(image(mixed, 0)).toEqual(image(cold, mixed.imageOf[0]!));
    expect(mixed.captions).toEqual(cold.captions);
    expect(mixed.dropout).toEqual(cold.dropout);
    expect((await input.prepare({ ...unit, pictures: 'all' })).imageOf).toEqual([0, 1, 2, 3]);
  });

  it('names a record whose bytes are not those of the index, after reading it twice', async () => {
    const damaged = await build(temporaryFolder());
    const warnings: Error[] = [];
    const split = (await openDataset(damaged)).split('train');
    const ref = split.record(2);
    const file = split.shards[ref.shard]!.file;
    const bytes = readFileSync(file);
    bytes[ref.offset + 10]! ^= 4;
    writeFileSync(file, bytes);
    await using input = await openInput(false, warnings, damaged);
    const refs = [0, 1, 2].map((i) => split.record(i));
    const failed = input.prepare({ split: 'train', records: refs, seed: 1, pictures: 'all' });
    await expect(failed).rejects.toMatchObject({ code: 'data/record-corrupt', facts: { offset: ref.offset } });
    expect(warnings).toHaveLength(1);
    const others = await input.prepare({ split: 'train', records: refs.slice(0, 2), seed: 1, pictures: 'all' });
    expect(others.places).toEqual([0, 1]);
  });

  it('says so when the data folder is missing', async () => {
    await expect(openInput(false, [], join(directory, 'nowhere'))).rejects.toMatchObject({
      code: 'data/folder-not-indexed',
    });
  });
});

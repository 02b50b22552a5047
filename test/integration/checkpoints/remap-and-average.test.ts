import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { averageCheckpoints } from '@showtell/coordinator/checkpoints/average.js';
import { exporters } from '@showtell/coordinator/checkpoints/export/exporters.js';
import { importCheckpoint, planImport } from '@showtell/coordinator/checkpoints/import/import-checkpoint.js';
import { openCheckpoint, type OpenCheckpoint, readNamed } from '@showtell/coordinator/checkpoints/open-checkpoint.js';
import { remapCheckpoint } from '@showtell/coordinator/checkpoints/remap.js';
import { readSafetensorsHeader } from '@showtell/shared/tensors/safetensors.js';
import { initializeParameter } from '@showtell/shared/model/initialize.js';
import { modelParameters } from '@showtell/coordinator/model-parameters.js';
import { loadCheckpoint } from '@showtell/worker/caption/load-checkpoint.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { captioner, importOptions, rewriteCaptioner } from '../../support/tensorflow-fixtures.js';

type Change = Parameters<typeof rewriteCaptioner>[1];

/** The captioner of the fixtures as a checkpoint, its variables changed where that is asked for. */
async function checkpoint(at: string, name = 'origin', change: Change = (tensor) => tensor): Promise<OpenCheckpoint> {
  const prefix = join(at, `${name}.ckpt`);
  rewriteCaptioner(prefix, change);
  const options = importOptions(join(at, name), { path: prefix });
  await importCheckpoint(options, await planImport(options));
  return openCheckpoint(options.out);
}

/** generate.py: a, <S>, </S>, ., red, cat, dog; <UNK> is row 7. */
const rowOf: Record<string, number> = { a: 0, '<S>': 1, '</S>': 2, '.': 3, red: 4, cat: 5, dog: 6, '<UNK>': 7 };

function wordsFile(at: string, ...words: string[]): string {
  const file = join(at, `words-${words.length}.txt`);
  writeFileSync(file, words.map((word, i) => `${word} ${words.length - i}`).join('\n'));
  return file;
}

const row = (table: Float32Array, index: number, width: number): number[] => [
  ...table.subarray(index * width, (index + 1) * width),
];
const column = (table: Float32Array, index: number, width: number): number[] => [
  ...table.filter((_, i) => i % width === index),
];

describe('another vocabulary', () => {
  it('keeps the rows of words, of the unknown one too, and begins the others anew', async () => {
    const at = temporaryFolder();
    const origin = await checkpoint(at);
    const words = ['cat', 'blue', '<S>', '</S>', 'a', ...Array.from('bcdefghijkl')];
    const out = join(at, 'remapped');
    const options = { vocabulary: wordsFile(at, ...words), from: null, rows: null, out };
    const done = await remapCheckpoint(origin, options);
    expect(done).toMatchObject({ rows: { before: 12, now: 17 }, kept: 5, dropped: ['.', 'red', 'dog'] });
    expect(done.added).toEqual(['blue', ...Array.from('bcdefghijkl')]);

    const remapped = await openCheckpoint(out);
    const read = (from: OpenCheckpoint, name: string): Float32Array => readNamed(from, name);
    const specs = new Map(modelParameters(remapped.job).specs.map((spec) => [spec.name, spec]));
    const first = (name: string): Float32Array => initializeParameter(origin.job.seed, specs.get(name)!);
    for (const [id, word] of [...words, '<UNK>'].entries()) {
      const old = rowOf[word];
      const values = (name: string, at: (table: Float32Array, id: number, rows: number) => number[]) =>
        old === undefined ? at(first(name), id, 17) : at(read(origin, name), old, 12);
      expect(row(read(remapped, 'seq_embedding/map'), id, 6), word).toEqual(
        values('seq_embedding/map', (table, index) => row(table, index, 6)),
      );
      expect(column(read(remapped, 'logits/weights'), id, 17), word).toEqual(values('logits/weights', column));
      expect(read(remapped, 'logits/biases')[id], word).toBe(
        old === undefined ? 0 : read(origin, 'logits/biases')[old],
      );
    }
    for (const { name } of origin.tensors.entries)
      if (!/^(seq_embedding|logits)/.test(name)) expect(read(remapped, name)).toEqual(read(origin, name));

    const { job, vocabulary } = await loadCheckpoint(out, null);
    expect(job.model.decoder.vocabulary).toBe(17);
    expect(vocabulary.word(1)).toBe('blue');
    expect(remapped.manifest).toMatchObject({ step: 77, optimizer: { bytes: 0 } });
  });

  it('to the same words changes nothing but rows of no word', async () => {
    const at = temporaryFolder();
    const origin = await checkpoint(at);
    const options = { vocabulary: captioner.words, from: captioner.words, rows: 12, out: join(at, 'same') };
    expect(await remapCheckpoint(origin, options)).toMatchObject({ kept: 8, added: [], dropped: [] });
    const [before, after] = [origin, await openCheckpoint(options.out)].map((one) =>
      readNamed(one, 'seq_embedding/map'),
    );
    expect(after!.subarray(0, 48)).toEqual(before!.subarray(0, 48));
  });

  it('is refused where it does not fit, is not the old one, or the folder is there', async () => {
    const at = temporaryFolder();
    const origin = await checkpoint(at);
    const vocabulary = wordsFile(at, 'cat', '<S>', '</S>', 'x');
    const out = join(at, 'remapped');
    const refused = (more: Partial<Parameters<typeof remapCheckpoint>[1]>) =>
      expect(remapCheckpoint(origin, { vocabulary, from: null, rows: null, out, ...more })).rejects;
    await refused({ rows: 4 }).toMatchObject({ code: 'checkpoint/vocabulary-too-large' });
    await refused({ from: vocabulary }).toMatchObject({ code: 'caption/other-vocabulary' });
    await refused({ vocabulary: join(at, 'nothing') }).toMatchObject({ code: 'file/missing' });
    await refused({ out: at }).toMatchObject({ code: 'checkpoint/exists' });
    expect(readdirSync(at).filter((name) => name.startsWith('remapped'))).toEqual([]);
  });
});

describe('an average', () => {
  const bias =
    (...values: number[]): Change =>
    (tensor) => {
      if (tensor.name === 'logits/biases')
        return { ...tensor, values: () => Float32Array.from({ length: 12 }, (_, i) => values[i] ?? 0) };
      return tensor.name === 'global_step' ? { ...tensor, values: () => Float32Array.of(values.length) } : tensor;
    };

  it('is the mean in float64, rounded once, and goes on from the latest step', async () => {
    const at = temporaryFolder();
    await checkpoint(at, 'a', bias(1, 3e38, 0.1, 1));
    await checkpoint(at, 'b', bias(2, 3e38));
    await checkpoint(at, 'c', bias(6, 3e38, 0.2));
    const out = join(at, 'mean');
    const manifest = await averageCheckpoints(
      ['a', 'b', 'c'].map((name) => join(at, name)),
      out,
    );
    expect(manifest.step).toBe(4);
    const read = await openCheckpoint(out);
    const third = Math.fround((Math.fround(0.1) + Math.fround(0.2)) / 3);
    // Sums of float32 would overflow in the second and round twice in the third.
    expect([...readNamed(read, 'logits/biases').subarray(0, 4)]).toEqual([
      3,
      Math.fround(3e38),
      third,
      Math.fround(1 / 3),
    ]);
    const [origin] = [await openCheckpoint(join(at, 'a'))];
    expect(readNamed(read, 'seq_embedding/map')).toEqual(readNamed(origin, 'seq_embedding/map'));
    expect(readFileSync(join(out, 'word_counts.txt'))).toEqual(readFileSync(captioner.words));
  });

  it('of different models or vocabularies is refused', async () => {
    const at = temporaryFolder();
    const origin = await checkpoint(at, 'a');
    const words = wordsFile(at, 'a', '<S>', '</S>', 'b');
    await remapCheckpoint(origin, { vocabulary: words, from: null, rows: 12, out: join(at, 'words') });
    await remapCheckpoint(origin, { vocabulary: captioner.words, from: null, rows: 14, out: join(at, 'rows') });
    const out = join(at, 'mean');
    const refused = (other: string) => expect(averageCheckpoints([join(at, 'a'), join(at, other)], out)).rejects;
    await refused('words').toThrow(/its vocabulary is another/);
    await refused('rows').toThrow(/logits\/biases is \[12\] in one and \[14\] in the other/);
    await refused('nothing').toMatchObject({ code: 'checkpoint/missing' });
    expect(existsSync(out)).toBe(false);
  });
});

describe('an export', () => {
  it('as safetensors is one file with the same tensors', async () => {
    const at = temporaryFolder();
    const origin = await checkpoint(at);
    const out = join(at, 'weights.safetensors');
    const request = { checkpoint: origin, out, lstmNames: 'kernel', vocabulary: null } as const;
    await exporters.safetensors.write(request);
    expect(readSafetensorsHeader(out).entries).toEqual(origin.tensors.entries);
    expect(readFileSync(out)).toEqual(readFileSync(origin.tensors.file));
    await expect(exporters.safetensors.write(request)).rejects.toMatchObject({ code: 'checkpoint/exists' });
  });

  it('whose words are nowhere, or whose place cannot be written, leaves nothing', async () => {
    const at = temporaryFolder();
    const origin = await checkpoint(at);
    const request = {
      checkpoint: origin,
      out: join(at, 'tf'),
      lstmNames: 'kernel',
      vocabulary: join(at, 'no'),
    } as const;
    await expect(exporters.tensorflow.write(request)).rejects.toMatchObject({ code: 'caption/no-vocabulary' });
    const below = { ...request, vocabulary: null, out: join(captioner.words, 'tf') };
    await expect(exporters.tensorflow.write(below)).rejects.toMatchObject({ code: 'file/unwritable' });
    expect(readdirSync(at).sort()).toEqual(['origin', 'origin.ckpt.data-00000-of-00001', 'origin.ckpt.index']);
  });
});

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  importCheckpoint,
  type ImportOptions,
  planImport,
} from '@showtell/coordinator/checkpoints/import/import-checkpoint.js';
import { openWeights } from '@showtell/coordinator/checkpoints/open-weights.js';
import { readCheckpoint } from '@showtell/coordinator/checkpoints/read-checkpoint.js';
import { firstValues, modelParameters } from '@showtell/coordinator/model-parameters.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { tensorView } from '@showtell/shared/tensors/layout.js';
import { hashOfWeights } from '@showtell/shared/tensors/weights-files.js';
import { loadCheckpoint } from '@showtell/worker/caption/load-checkpoint.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import {
  captioner,
  importOptions,
  rewriteCaptioner,
  tensorflowFixture,
  valuesOf,
} from '../../support/tensorflow-fixtures.js';

async function run(options: ImportOptions) {
  const plan = await planImport(options);
  return { plan, ...(await importCheckpoint(options, plan)) };
}

const kernel = 'lstm/basic_lstm_cell/kernel';
const isDecoder = (name: string): boolean => !name.startsWith('InceptionV3/');

describe('a captioner that TensorFlow saved', () => {
  it('becomes a checkpoint with its values, model, step and words', async () => {
    const out = join(temporaryFolder(), 'deep', 'imported');
    const { plan, manifest } = await run(importOptions(out));
    expect(plan.job.model).toMatchObject({
      encoder: { name: 'inception_v3', depthMultiplier: 0.05, imageSize: 139 },
      decoder: { embedding: 6, units: 4, vocabulary: 12 },
    });
    expect(readdirSync(out).sort()).toEqual([
      'import.json',
      'manifest.json',
      'parameters.safetensors',
      'word_counts.txt',
    ]);
    expect(manifest).toMatchObject({ step: 77, phase: 'decoder-only', switchedAt: null });

    const { layout } = modelParameters(plan.job);
    const read = await readCheckpoint(out, layout);
    const source = openWeights(captioner.file).variables;
    for (const { name, stored } of plan.mapping.matched)
      expect(tensorView(read.parameters, layout.entry(name)), name).toEqual(
        valuesOf(source.find((variable) => variable.name === stored.name)!),
      );
    expect(plan.mapping.matched).toHaveLength(layout.entries.length);
    const { job, vocabulary } = await loadCheckpoint(out, null);
    expect(job.model).toEqual(plan.job.model);
    expect(vocabulary.word(5)).toBe('cat');
  });

  it('has a report of every variable', async () => {
    const { report, plan } = await run(importOptions(join(temporaryFolder(), 'imported')));
    expect(report.matched.find(({ name }) => name === kernel)).toEqual({
      name: kernel,
      from: 'lstm/BasicLSTMCell/Linear/Matrix',
      shape: [10, 16],
      type: 'float32',
      slices: 1,
    });
    expect(report.missing).toEqual([]);
    const reasons = Object.fromEntries(report.leftOver.map(({ name, reason }) => [name, reason]));
    expect(reasons).toMatchObject({
      global_step: 'step',
      'OptimizeLoss/logits/weights/Momentum': 'optimizer',
      'InceptionV3/Conv2d_1a_3x3/weights/ExponentialMovingAverage': 'moving average of a weight',
      'InceptionV3/Logits/Conv2d_1c_1x1/weights': 'classifier head',
      'InceptionV3/AuxLogits/Conv2d_2b_1x1/biases': 'classifier head',
    });
    expect(report.matched.length + report.leftOver.length).toBe(plan.source.variables.length);
  });

  it('begins the joint phase, and at another step, where that is asked for', async () => {
    const { manifest } = await run(importOptions(join(temporaryFolder(), 'imported'), { phase: 'joint', step: 5 }));
    expect(manifest).toMatchObject({ step: 5, phase: 'joint', switchedAt: 5 });
  });

  it.each(['lstm/basic_lstm_cell/weights', 'lstm/basic_lstm_cell/kernel'])('may name its LSTM %s', async (name) => {
    const at = temporaryFolder();
    const bias = name.replace('weights', 'biases').replace('kernel', 'bias');
    const names: Record<string, string> = {
      'lstm/BasicLSTMCell/Linear/Matrix': name,
      'lstm/BasicLSTMCell/Linear/Bias': bias,
    };
    rewriteCaptioner(join(at, 'model.ckpt-1'), (tensor) => ({ ...tensor, name: names[tensor.name] ?? tensor.name }));
    const { manifest } = await run(importOptions(join(at, 'renamed'), { path: join(at, 'model.ckpt-1.index') }));
    const original = await run(importOptions(join(at, 'original')));
    expect(manifest.parameters).toEqual(original.manifest.parameters);
  });
});

describe('an encoder alone', () => {
  const encoderOnly = (at: string): string => {
    const prefix = join(at, 'inception_v3.ckpt');
    rewriteCaptioner(prefix, (tensor) => (isDecoder(tensor.name) && tensor.name !== 'global_step' ? null : tensor));
    return prefix;
  };

  it('becomes a checkpoint whose decoder has first values', async () => {
    const at = temporaryFolder();
    const set = ['model.decoder.vocabulary=12', 'model.decoder.embedding=6', 'model.decoder.units=4'];
    const options = importOptions(join(at, 'imported'), { path: encoderOnly(at), set });
    const { plan, manifest } = await run(options);
    expect(plan.encoderOnly).toBe(true);
    expect(manifest.step).toBe(0);
    const { layout } = modelParameters(plan.job);
    const { parameters } = await readCheckpoint(options.out, layout);
    const first = firstValues(plan.job, modelParameters(plan.job));
    expect(parameters.decoder).toEqual(first.decoder);
    expect(parameters.embedding).toEqual(first.embedding);
    expect(parameters.encoder).not.toEqual(first.encoder);
  });

  it.each([
    ['a V1 file', () => captioner.file],
    ['a V2 checkpoint', encoderOnly],
    ['an imported folder', (at: string) => join(at, 'imported')],
  ])('is what model.encoder.weights takes: %s', async (_, pathOf) => {
    const at = temporaryFolder();
    const imported = importOptions(join(at, 'imported'));
    const { plan } = await run(imported);
    const { layout } = modelParameters(plan.job);
    const { parameters } = await readCheckpoint(imported.out, layout);
    const encoder = { ...plan.job.model.encoder, weights: pathOf(at) };
    const job = parseJob({ model: { encoder, decoder: { vocabulary: 12, embedding: 6, units: 4 } } });
    const values = firstValues(job, modelParameters(job));
    expect(values.encoder).toEqual(parameters.encoder);
    expect(values.statistics).toEqual(parameters.statistics);
    expect(values.decoder).not.toEqual(parameters.decoder);
  });

  it('is hashed by the bytes of all its files', () => {
    const at = temporaryFolder();
    const prefix = encoderOnly(at);
    const sha256 = (...files: string[]): string =>
      files.reduce((hash, file) => hash.update(readFileSync(file)), createHash('sha256')).digest('hex');
    expect(hashOfWeights(captioner.file)).toBe(sha256(captioner.file));
    expect(hashOfWeights(prefix)).toBe(sha256(`${prefix}.index`, `${prefix}.data-00000-of-00001`));
    expect(hashOfWeights(`${prefix}.index`)).toBe(hashOfWeights(prefix));
  });
});

/** Imports what cannot be imported; nothing may be left of it. */
async function refused(options: ImportOptions): Promise<ShowtellError> {
  const before = existsSync(options.out);
  const error = await run(options).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!before) expect(readdirSync(dirname(options.out)).filter((name) => /^imported/.test(name))).toEqual([]);
  expect(error).toBeInstanceOf(ShowtellError);
  return error as ShowtellError;
}

describe('what cannot be imported is refused, and nothing is written', () => {
  const flip = (file: string, at: number): void => {
    const bytes = readFileSync(file);
    const place = at < 0 ? bytes.length + at : at;
    bytes[place] = (bytes[place] ?? 0) ^ 0x40;
    writeFileSync(file, bytes);
  };
  const v1 = (spoil: (file: string) => void) => (at: string) => {
    const file = join(at, 'v1.ckpt');
    copyFileSync(captioner.file, file);
    spoil(file);
    return file;
  };
  const v2 = (spoil: (index: string, data: string) => void) => (at: string) => {
    const prefix = join(at, 'v2.ckpt');
    rewriteCaptioner(prefix, (tensor) => tensor);
    spoil(`${prefix}.index`, `${prefix}.data-00000-of-00001`);
    return prefix;
  };
  const plain = (name: string, content: string | Uint8Array) => (at: string) => {
    writeFileSync(join(at, name), content);
    return join(at, name);
  };

  it.each<[string, (at: string) => string, string, RegExp]>([
    ['a V1 file cut short', v1((file) => truncateSync(file, 40_000)), 'checkpoint/foreign', /v1\.ckpt/],
    ['a V1 file with a wrong byte', v1((file) => flip(file, 20_000)), 'tensorflow/malformed', /block at byte .* CRC/],
    ['a V1 file with a wrong byte in its index', v1((file) => flip(file, -100)), 'tensorflow/malformed', /CRC/],
    ['a V1 file with a wrong footer', v1((file) => flip(file, -44)), 'tensorflow/malformed', /v1\.ckpt/],
    ['V2 data cut short', v2((_, data) => truncateSync(data, 1000)), 'tensorflow/malformed', /data-00000-of-00001/],
    [
      'V2 data with a wrong byte',
      v2((_, data) => flip(data, 400_000)),
      'tensorflow/malformed',
      /Inception.* do not have their CRC/,
    ],
    ['a V2 index with a wrong byte', v2((index) => flip(index, 900)), 'tensorflow/malformed', /block at byte 0/],
    ['a V2 index cut short', v2((index) => truncateSync(index, 900)), 'tensorflow/malformed', /index/],
    ['V2 without data', () => '', 'file/missing', /data-00000-of-00001/],
    [
      'a picture',
      () => tensorflowFixture('..', 'image', 'picture-wide.jpg'),
      'checkpoint/foreign',
      /neither begins nor ends/,
    ],
    ['an empty file', plain('empty', ''), 'checkpoint/foreign', /empty/],
    ['text', plain('text.txt', 'model: 3\n'.repeat(9)), 'checkpoint/foreign', /text\.txt/],
    ['a folder of something else', (at) => at, 'checkpoint/foreign', /no checkpoint file/],
    [
      'a checkpoint file that names nothing',
      plain('checkpoint', 'x: 1'),
      'checkpoint/foreign',
      /no model_checkpoint_path/,
    ],
    ['nothing', (at) => join(at, 'nothing'), 'file/missing', /nothing/],
  ])('%s', async (what, make, code, words) => {
    const at = temporaryFolder();
    let path = make(at);
    if (what === 'V2 without data') {
      path = join(at, 'v2.ckpt');
      rewriteCaptioner(join(at, 'other'), (tensor) => tensor);
      copyFileSync(join(at, 'other.index'), `${path}.index`);
    }
    if (what.startsWith('a checkpoint file')) path = at;
    const error = await refused(importOptions(join(at, 'imported'), { path }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(words);
  });

  it('a variable that nothing is known of, unless it may be left out', async () => {
    const at = temporaryFolder();
    const prefix = join(at, 'strange');
    const strange = {
      name: 'attention/weights',
      shape: [2],
      type: 'float32',
      values: () => Float32Array.of(1, 2),
    } as const;
    rewriteCaptioner(prefix, (tensor) => tensor, [strange]);
    const error = await refused(importOptions(join(at, 'imported'), { path: prefix }));
    expect(error.code).toBe('checkpoint/unknown-variables');
    expect(error.message).toContain('attention/weights');
    const { report } = await run(importOptions(join(at, 'imported'), { path: prefix, leaveOutUnknown: true }));
    expect(report.leftOver).toContainEqual({
      name: 'attention/weights',
      shape: [2],
      type: 'float32',
      slices: 1,
      reason: 'unknown',
    });
  });

  it.each<[string, Parameters<typeof rewriteCaptioner>[1], RegExp]>([
    ['a missing variable', (tensor) => (tensor.name === 'logits/biases' ? null : tensor), /logits\/biases is missing/],
    [
      'another shape',
      (tensor) =>
        tensor.name === 'logits/biases' ? { ...tensor, shape: [11], values: () => new Float32Array(11) } : tensor,
      /logits\/biases has shape \[11\] instead of \[12\]/,
    ],
    [
      'integers for weights',
      (tensor) =>
        tensor.name === 'logits/biases' ? { ...tensor, type: 'int32', values: () => new Int32Array(12) } : tensor,
      /logits\/biases is int32/,
    ],
    [
      'NaN',
      (tensor) =>
        tensor.name === 'logits/biases' ? { ...tensor, values: () => new Float32Array(12).fill(NaN) } : tensor,
      /logits\/biases has values that are not finite/,
    ],
    ['no encoder', (tensor) => (isDecoder(tensor.name) ? tensor : null), /nothing of InceptionV3\/ is there/],
  ])('%s', async (_, change, words) => {
    const at = temporaryFolder();
    rewriteCaptioner(join(at, 'changed'), change);
    const error = await refused(importOptions(join(at, 'imported'), { path: join(at, 'changed') }));
    expect(error.code).toBe('checkpoint/does-not-fit');
    expect(error.message).toMatch(words);
  });

  it('the LSTM under two names', async () => {
    const at = temporaryFolder();
    const second = { name: kernel, shape: [10, 16], type: 'float32', values: () => new Float32Array(160) } as const;
    rewriteCaptioner(join(at, 'two'), (tensor) => tensor, [second]);
    const error = await refused(importOptions(join(at, 'imported'), { path: join(at, 'two') }));
    expect(error.message).toMatch(/kernel stands there under several names/);
  });

  it('a net of another width than was said', async () => {
    const error = await refused(importOptions(join(temporaryFolder(), 'imported'), { depthMultiplier: 1 }));
    expect(error.code).toBe('checkpoint/does-not-fit');
    expect(error.message).toMatch(
      /depth multiplier 1:\n {2}InceptionV3\/\S+ has shape \[3, 3, 3, 16\] instead of \[3, 3, 3, 32\]/,
    );
    expect(error.message).toMatch(/and \d+ more/);
  });

  it('a vocabulary that is larger than the tables, or none', async () => {
    const at = temporaryFolder();
    const words = join(at, 'many.txt');
    writeFileSync(words, ['<S>', '</S>', ...Array.from('abcdefghijk')].map((word) => `${word} 1`).join('\n'));
    const error = await refused(importOptions(join(at, 'imported'), { vocabulary: words }));
    expect(error.code).toBe('checkpoint/vocabulary-too-large');
    expect(error.message).toMatch(/14 words .* 12 rows/);
    expect((await refused(importOptions(join(at, 'imported'), { vocabulary: join(at, 'no') }))).code).toBe(
      'file/missing',
    );
  });

  it('into a folder that is there', async () => {
    const out = join(temporaryFolder(), 'imported');
    mkdirSync(out);
    writeFileSync(join(out, 'mine'), 'kept');
    expect((await refused(importOptions(out))).code).toBe('checkpoint/exists');
    expect(readdirSync(out)).toEqual(['mine']);
  });
});

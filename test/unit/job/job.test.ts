import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Job } from '@showtell/shared/job/job.js';
import { loadJob, parseJob, parseYaml } from '@showtell/shared/job/load-job.js';
import { presets } from '@showtell/shared/job/presets.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** im2txt/configuration.py, train.py and inference_utils, number by number. */
const im2txt: readonly [string, (job: Job) => unknown, unknown][] = [
  ['batch_size', (job) => job.batch.examples, 32],
  ['image_height', (job) => job.model.encoder.imageSize, 299],
  ['vocab_size', (job) => job.model.decoder.vocabulary, 12_000],
  ['embedding_size', (job) => job.model.decoder.embedding, 512],
  ['num_lstm_units', (job) => job.model.decoder.units, 512],
  ['initializer_scale', (job) => job.model.decoder.initScale, 0.08],
  ['lstm_dropout_keep_prob', (job) => job.model.decoder.keep, 0.7],
  ['optimizer', (job) => job.optimizer.name, 'sgd'],
  ['clip_gradients', (job) => job.optimizer.clip, 5],
  ['initial_learning_rate', (job) => job.phases.decoderOnly.learningRate, 2],
  ['learning_rate_decay_factor', (job) => job.phases.decoderOnly.decay?.factor, 0.5],
  ['decay_steps', (job) => job.phases.decoderOnly.decay?.everySteps, Math.trunc((586_363 / 32) * 8)],
  ['train_inception_learning_rate', (job) => job.phases.joint.learningRate, 0.0005],
  ['decay in the joint phase', (job) => job.phases.joint.decay, null],
  ['number_of_steps', (job) => job.phases.decoderOnly.steps, 1_000_000],
  ['number_of_steps, joint', (job) => job.phases.joint.steps, 2_000_000],
  ['max_checkpoints_to_keep', (job) => job.checkpoints.keepLast, 5],
  ['weight_decay', (job) => job.phases.joint.l2, 0.00004],
  ['dropout_keep_prob of the pooled features', (job) => job.phases.joint.featureKeep, 0.8],
  ['batch_norm decay', (job) => job.model.encoder.batchNormDecay, 0.9997],
  ['batch_norm epsilon', (job) => job.model.encoder.batchNormEpsilon, 0.001],
  ['resize before the crop', (job) => job.augmentation.resize, 346],
  ['num_eval_examples', (job) => job.evaluation.perplexityExamples, 10_132],
  ['beam_size', (job) => job.evaluation.beam, 3],
  ['max_caption_length', (job) => job.evaluation.maxLength, 20],
  ['length_normalization_factor', (job) => job.evaluation.lengthNormalization, 0],
];

function problemsOf(content: unknown, overrides: readonly string[] = []): readonly string[] {
  try {
    parseJob(content, overrides);
  } catch (error) {
    if (error instanceof ShowtellError && error.code === 'job/invalid')
      return (error as ShowtellError<'job/invalid'>).facts.problems;
    throw error;
  }
  return [];
}

describe('the job file', () => {
  it.each(im2txt)("has im2txt's %s by default", (_, of, value) => expect(of(parseJob(null))).toBe(value));

  it.each([
    ['an unknown field', { batch: { exmaples: 3 } }, 'batch.exmaples: no such field'],
    ['an unknown field at the top', { sede: 3 }, 'sede: no such field'],
    ['a wrong type', { seed: 'one' }, 'seed: '],
    ['a fraction where a count is due', { batch: { examples: 2.5 } }, 'batch.examples: '],
    ['an impossible value', { model: { decoder: { keep: 0 } } }, 'model.decoder.keep: '],
    ['a value beyond the range', { model: { decoder: { keep: 1.5 } } }, 'model.decoder.keep: '],
    ['a name that is none of those there are', { optimizer: { name: 'adadelta' } }, 'optimizer.name: '],
    [
      'a divisor that float32 has not',
      { optimizer: { initialAccumulator: 1e-60 } },
      'optimizer.initialAccumulator: 1e-60 is 0 as float32',
    ],
    ['an epsilon that float32 has not', { optimizer: { epsilon: 1e-60 } }, 'optimizer.epsilon: 1e-60 is 0'],
    ['units that do not divide the examples', { batch: { examples: 10, units: 4 } }, 'batch.units: 10 examples'],
    [
      'asynchronous units that are no updates of their own',
      { batch: { examples: 32, units: 4 }, asynchronous: {} },
      'batch.units: asynchronous jobs apply each unit by itself: units must be 1 and examples what a unit holds, such as 8',
    ],
    ['no staleness at all', { batch: { units: 1 }, asynchronous: { maxStaleness: 0 } }, 'asynchronous.maxStaleness: '],
    [
      'lengths that do not rise',
      { batch: { captionLengths: [16, 12] } },
      'batch.captionLengths: the lengths must rise',
    ],
    ['the same length twice', { batch: { captionLengths: [16, 16] } }, 'batch.captionLengths: '],
    ['pictures resized below the crop', { augmentation: { resize: 200 } }, 'augmentation.resize: 200 is smaller'],
    [
      'pictures smaller than the encoder takes',
      { model: { encoder: { imageSize: 74 } } },
      'model.encoder.imageSize: 74 pixels are too few for inception_v3, whose smallest picture has 75',
    ],
    [
      'pictures smaller than another encoder takes',
      { model: { encoder: { name: 'inception_resnet_v2', imageSize: 32 } } },
      'model.encoder.imageSize: 32 pixels are too few for inception_resnet_v2, whose smallest picture has 75',
    ],
    ['an encoder that there is not', { model: { encoder: { name: 'inception_v4' } } }, 'model.encoder.name: '],
    [
      'tables that no array holds',
      { model: { decoder: { vocabulary: 1_000_000, embedding: 16_384 } } },
      'model.decoder: its largest table would have 16384000000 values',
    ],
    [
      'an LSTM that no array holds',
      { model: { decoder: { units: 16_384 } } },
      'model.decoder: its largest table would have 1107296256 values',
    ],
    ['no steps', { phases: { decoderOnly: { steps: 0 }, joint: { steps: 0 } } }, 'phases: both phases have 0 steps'],
    ['a random encoder the preset refuses', { preset: 'im2txt' }, 'model.encoder.weights: is "random"'],
    ['an unknown preset', { preset: 'imtxt' }, 'preset: "imtxt" is not one of im2txt, demo'],
    ['a list instead of fields', [], 'it is not a mapping of fields'],
  ])('refuses %s and names it', (_, content, start) => {
    const problems = problemsOf(content);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(start);
  });

  it.each([
    ['cluster.leaseSeconds', 86_400],
    ['cluster.stallSeconds', 86_400],
    ['cluster.stragglerFactor', 1_000_000],
    ['model.decoder.vocabulary', 1_000_000],
    ['model.decoder.embedding', 16_384],
    ['model.decoder.units', 16_384],
    ['batch.examples', 65_536],
    ['batch.units', 4_096],
    ['asynchronous.warmStartSteps', 1_000_000_000],
    ['phases.decoderOnly.steps', 1_000_000_000],
    ['phases.joint.steps', 1_000_000_000],
    ['evaluation.everySteps', 1_000_000_000],
    ['evaluation.unitExamples', 65_536],
    ['checkpoints.everySteps', 1_000_000_000],
  ])('takes %s up to %d, and names it beyond', (field, most) => {
    const [group = '', ...inner] = field.split('.');
    const asJob = (value: number) => ({
      [group]: inner.reduceRight<unknown>((below, key) => ({ [key]: below }), value),
    });
    const named = (value: number) =>
      problemsOf(asJob(value)).filter((problem) => problem.startsWith(`${field}: Too big`));
    expect(named(most)).toEqual([]);
    expect(named(most * 10)).toHaveLength(1);
  });

  it.each(['inception_v1', 'inception_v2'])('lets %s see pictures of any size', (name) => {
    for (const imageSize of [1, 31, 224]) expect(problemsOf({ model: { encoder: { name, imageSize } } })).toEqual([]);
  });

  it('names every bad field at once', () => {
    expect(problemsOf({ seed: -1, batch: { examples: 0 }, engine: { name: 'abacus' } })).toHaveLength(3);
  });

  it('parses each preset, the own fields above the preset', () => {
    const weights = { model: { encoder: { weights: 'inception_v3.safetensors' } } };
    expect(Object.keys(presets)).toEqual(['im2txt', 'demo']);
    expect(parseJob({ preset: 'im2txt', ...weights }).phases.joint.steps).toBe(2_000_000);
    const demo = parseJob({ preset: 'demo', batch: { units: 4 } });
    expect(demo.batch).toEqual({ examples: 64, units: 4, captionLengths: [16, 32] });
    expect(demo.model.encoder.imageSize).toBe(80);
  });
});

describe('--set', () => {
  it('takes numbers, texts, lists, booleans and null as YAML has them', () => {
    const job = parseJob({ seed: 3 }, [
      'seed=7',
      'name=other',
      'batch.captionLengths=[8, 9]',
      'augmentation.enabled=false',
      'phases.decoderOnly.decay=null',
      'phases.joint.guard.maxPerplexityRatio=0.25',
    ]);
    expect(job.seed).toBe(7);
    expect(job.name).toBe('other');
    expect(job.batch.captionLengths).toEqual([8, 9]);
    expect(job.augmentation.enabled).toBe(false);
    expect(job.phases.decoderOnly.decay).toBeNull();
    expect(job.phases.joint.guard.maxPerplexityRatio).toBe(0.25);
  });

  it('lets the last of two count, and fields beside it stand', () => {
    const job = parseJob({ optimizer: { clip: 2 } }, ['optimizer.momentum=0.5', 'optimizer.momentum=0.25']);
    expect(job.optimizer).toMatchObject({ clip: 2, momentum: 0.25 });
  });

  it.each(['seed', '=3', 'a..b=1', '.seed=1', 'seed.=1', 'batch.captionLengths=[1'])('refuses %s', (override) => {
    expect(() => parseJob(null, [override])).toThrow(expect.objectContaining({ code: 'job/bad-override' }));
  });

  it('names a field it does not know', () => {
    expect(problemsOf(null, ['batch.size=3'])).toEqual(['batch.size: no such field']);
  });
});

describe('a job file on disk', () => {
  it('is read with its overrides; an empty one is all defaults', async () => {
    const file = join(temporaryFolder(), 'job.yaml');
    writeFileSync(file, 'preset: demo\nseed: 9\n');
    expect(await loadJob(file, ['batch.units=8'])).toMatchObject({ seed: 9, name: 'demo', batch: { units: 8 } });
    writeFileSync(file, '');
    expect(await loadJob(file)).toEqual(parseJob(null));
  });

  it('is named when it is absent, no YAML or no job', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'job.yaml');
    await expect(loadJob(file)).rejects.toMatchObject({ code: 'file/missing', facts: { file } });
    writeFileSync(file, 'seed: [1\n');
    await expect(loadJob(file)).rejects.toMatchObject({ code: 'job/not-yaml', facts: { file } });
    writeFileSync(file, 'seed: 1\nseed: 2\n');
    await expect(loadJob(file)).rejects.toMatchObject({ code: 'job/not-yaml' });
    writeFileSync(file, 'seed: one\n');
    await expect(loadJob(file)).rejects.toMatchObject({ code: 'job/invalid', facts: { source: file } });
  });

  it.each(['[', '{a: ', '- ', '? '])('nested too deep, as %j: the stack may end the process', (one) => {
    const detail = 'it is nested more than 100 deep, a job is not.';
    expect(() => parseYaml(one.repeat(101), 'a')).toThrow(detail);
    expect(() => parseYaml(one.repeat(200_000), 'a')).toThrow(detail);
    expect(() => parseJob({}, [`name=${one.repeat(101)}`])).toThrow('name=');
    expect(() => parseYaml(`${'['.repeat(100)}${']'.repeat(100)}`, 'a')).not.toThrow();
  });
});

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EncoderName, encoders, type ParameterSpec } from '@showtell/shared/model/parameters.js';
import { random } from '@showtell/shared/random.js';
import { setEngineEnvironment } from '@showtell/worker/engine/tensorflow/addon.js';
import { writeCaptionCheckpoint } from '../../support/caption-checkpoint.js';
import { runPython, slimPython } from '../../support/parity-python.js';
import { scene, writeFiles } from '../../support/pictures.js';
import { haveTensorflow } from '../../support/tensorflow.js';
import { agree, apart } from './agree.js';
import { type Computed, computedBy } from './our-captioner.js';

/** captioner.py's answer for an encoder. */
interface Theirs {
  readonly step: number;
  readonly exported: Computed;
  readonly losses: readonly number[];
  readonly trained: Computed;
  /** Paths of checkpoints, by how the LSTM's variables are named. */
  readonly forms: Readonly<Record<'kernel' | 'Matrix' | 'weights', string>>;
  /** Of one encoder: paths by form, and what the captioner computes with values rounded to float16. */
  readonly variants?: Readonly<Record<string, string>>;
  readonly half?: Computed;
  readonly slim?: { readonly path: string; readonly features: number[][] };
}
interface Answer {
  readonly encoders: Readonly<Record<EncoderName, Theirs>>;
}

const python = haveTensorflow ? await slimPython() : null;
const names = Object.keys(encoders) as EncoderName[];
const cli = fileURLToPath(import.meta.resolve('@showtell/coordinator/cli/main.js'));

const job = {
  ...{ size: 80, resize: 96, multiplier: 0.1, epsilon: 0.001, beam: 3, maxLength: 12 },
  decoder: [24, 32, 20] as const,
};
/** From <S> to </S>; one word comes twice, and 14 is <UNK>. */
const captions = [
  [0, 2, 3, 6, 8, 9, 2, 3, 7, 1],
  [0, 10, 11, 14, 5, 13, 1],
];

describe.skipIf(python === null)(
  "the whole captioner on each encoder, against Python's TensorFlow and TF-Slim (skipped without them)",
  { timeout: 600_000 },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'showtell-captioner-'));
    const at = (...path: string[]): string => join(folder, ...path);
    const pictures = [0, 4, 8].map((i) => at(`${i}.jpg`));
    let theirs: Answer;

    beforeAll(async () => {
      setEngineEnvironment({ threads: 1 });
      for (const [i, file] of pictures.entries())
        writeFiles({
          [file]: await scene(4 * i, { width: 160, height: 100 + i })
            .jpeg()
            .toBuffer(),
        });
      const [embedding, units, vocabulary] = job.decoder;
      const { size: imageSize, resize, multiplier: depthMultiplier, beam, maxLength } = job;
      await Promise.all(
        names.map(async (name) => {
          const model = {
            encoder: { name, depthMultiplier, imageSize },
            decoder: { embedding, units, vocabulary, initScale: 1 },
          };
          const how = { augmentation: { enabled: false, resize }, evaluation: { beam, maxLength } };
          const input = { name: 'parity', model, ...how, engine: { threads: 1 } };
          const { run } = await writeCaptionCheckpoint(at(`${name}-run`), input, tellApart);
          await showtell('export', run, '--format', 'tensorflow', '--out', at(`${name}-exported`));
        }),
      );
      const words = at(`${names[0]}-exported`, 'word_counts.txt');
      const each = names.map((name) => ({
        name,
        exported: at(`${name}-exported`),
        out: at(`${name}-saved`),
        variants: name === 'inception_v1',
      }));
      writeFileSync(at('job.json'), JSON.stringify({ ...job, words, captions, pictures, encoders: each }));
      const script = fileURLToPath(new URL('./captioner.py', import.meta.url));
      theirs = JSON.parse(runPython(python ?? '', script, at('job.json'))) as Answer;
    }, 600_000);
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    async function showtell(...args: string[]): Promise<string> {
      return (await promisify(execFile)(process.execPath, [cli, 'checkpoint', ...args])).stdout;
    }

    /** Imports by the command line. @returns its report, and the folder made */
    async function imported(name: EncoderName, path: string, out: string, ...more: string[]) {
      const { size, resize, beam, maxLength } = job;
      const set = [`augmentation.resize=${resize}`, `evaluation.beam=${beam}`, `evaluation.maxLength=${maxLength}`];
      const words = at(`${names[0]}-exported`, 'word_counts.txt');
      const report = await showtell(
        ...['import', path, '--encoder', name, '--vocabulary', words, '--out', out],
        ...['--image-size', String(size), ...set.flatMap((field) => ['--set', field]), '--json', ...more],
      );
      return JSON.parse(report) as { step: number; leftOver: { name: string; reason: string }[] };
    }

    const valuesOf = (checkpoint: string): string =>
      (JSON.parse(readFileSync(join(checkpoint, 'manifest.json'), 'utf8')) as { parameters: { sha256: string } })
        .parameters.sha256;

    it.each(names)('%s: an exported checkpoint in their graph', async (name) => {
      const ours = await computedBy(at(`${name}-run`, 'checkpoints', '00000001'), pictures, captions);
      expect(theirs.encoders[name].step).toBe(1);
      agree(ours, theirs.encoders[name].exported);
    });

    it.each(names)('%s: their checkpoints, V2 and V1 under each naming of the LSTM, imported', async (name) => {
      const { forms, trained, losses } = theirs.encoders[name];
      expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
      const made = await Promise.all(
        Object.entries(forms).map(async ([form, path]) => {
          const out = at(`${name}-${form}`);
          return { form, out, report: await imported(name, path, out) };
        }),
      );
      for (const { report } of made) {
        const reasons = new Set(report.leftOver.map(({ reason }) => reason));
        expect([...reasons].sort()).toEqual([
          'bookkeeping',
          'classifier head',
          'moving average of a weight',
          'optimizer',
          'step',
        ]);
        expect(report.step).toBe(2_000_003);
      }
      const [first] = made;
      expect(new Set(made.map(({ out }) => valuesOf(out))).size).toBe(1);
      agree(await computedBy(first?.out ?? '', pictures, captions), trained);
    });

    it('the weights alone in less usual forms, imported', async () => {
      const name = 'inception_v1';
      const { variants = {}, half, slim } = theirs.encoders[name];
      const { objects = '', ...read } = variants;
      const usual = valuesOf(at(`${name}-kernel`));
      for (const [form, path] of Object.entries(read)) {
        const { leftOver, step } = await imported(name, path, at(`${name}-${form}`));
        expect({ leftOver, step }, form).toEqual({ leftOver: [], step: 0 });
        if (form !== 'half') expect(valuesOf(at(`${name}-${form}`)), form).toBe(usual);
      }
      expect(Object.keys(read)).toEqual(['half', 'double', 'colon', 'partitioned', 'sharded-v1']);
      agree(await computedBy(at(`${name}-half`), pictures, captions), half as Computed);
      await expect(imported(name, objects, at('objects'))).rejects.toMatchObject({
        code: 65,
        stderr: expect.stringMatching(/tf\.train\.Checkpoint\): save it by tf\.compat\.v1\.train\.Saver/) as string,
      });
      expect(existsSync(at('objects'))).toBe(false);

      const sizes = ['--image-size', '139', '--set', 'augmentation.resize=160'];
      const { step, leftOver } = await imported('inception_v3', slim?.path ?? '', at('slim'), ...sizes);
      expect(step).toBe(0);
      const reasons = leftOver.map(({ name, reason }) => `${name.split('/')[1] ?? name}: ${reason}`);
      const heads = ['AuxLogits: classifier head', 'Logits: classifier head'];
      expect([...new Set(reasons)].sort()).toEqual([...heads, 'global_step: step']);
      const { features } = await computedBy(at('slim'), pictures, captions);
      const largest = Math.max(...features.flat());
      expect(largest).toBeGreaterThan(0.1);
      expect(apart(features.flat(), slim?.features.flat() ?? []) / largest).toBeLessThan(1e-5);
    });
  },
);

/** Convolutions through which pictures stay unlike: by slim's own first values of V1 they come out alike. */
function tellApart({ name, shape }: ParameterSpec, values: Float32Array): void {
  if (!name.startsWith('Inception') || !name.endsWith('weights')) return;
  const scale = Math.sqrt(6 / shape.slice(0, -1).reduce((a, b) => a * b, 1));
  random(7, 'convolution', name).fillUniform(values, -scale, scale);
}

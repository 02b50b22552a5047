import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Captioner } from '@showtell/worker/caption/captioner.js';
import { loadCheckpoint } from '@showtell/worker/caption/load-checkpoint.js';
import { setEngineEnvironment } from '@showtell/worker/engine/tensorflow/addon.js';
import { tensorflowEngine } from '@showtell/worker/engine/tensorflow/engine.js';
import { chooseEngine } from '@showtell/worker/engine/choose-engine.js';
import { openPictureDecoder } from '@showtell/worker/input/decode-picture.js';
import { centralCrop } from '@showtell/worker/input/distort.js';
import { resizeCrop } from '@showtell/worker/input/resize.js';
import { writeCaptionCheckpoint } from '../../support/caption-checkpoint.js';
import { runPython, tensorflowPython } from '../../support/parity-python.js';
import { scene, writeFiles } from '../../support/pictures.js';
import { haveTensorflow, tensorflow } from '../../support/tensorflow.js';

interface Seen {
  readonly signatures: string[];
  /** A row a picture of each. */
  readonly images: number[][];
  readonly features: number[][];
  readonly state: number[][];
  readonly probabilities: number[][];
  readonly next: number[][];
  /** Features of the first picture, computed by itself. */
  readonly alone: number[];
  readonly captions: { readonly caption: string; readonly logprob: number }[][];
}

const script = fileURLToPath(new URL('./run_saved_model.py', import.meta.url));
const python = haveTensorflow ? await tensorflowPython() : null;
const resized = 96;
const beam = 4;

describe.skipIf(python === null)(
  'a checkpoint as a SavedModel in Python’s TensorFlow (skipped without it)',
  { timeout: 600_000 },
  () => {
    let seen: Seen;
    let files: string[] = [];
    let checkpoint = '';
    const made: string[] = [];
    afterAll(() => made.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

    beforeAll(async () => {
      setEngineEnvironment({ threads: 1 });
      const folder = mkdtempSync(join(tmpdir(), 'showtell-saved-model-'));
      made.push(folder);
      files = [0, 4, 8].map((i) => join(folder, `${i}.jpg`));
      const jpegs = await Promise.all(
        [0, 4, 8].map((i) =>
          scene(i, { width: 160, height: 100 + i })
            .jpeg()
            .toBuffer(),
        ),
      );
      writeFiles(Object.fromEntries(files.map((file, i) => [file, jpegs[i] ?? ''])));
      const { run } = await writeCaptionCheckpoint(join(folder, 'run'), {
        name: 'exported',
        model: {
          encoder: { depthMultiplier: 0.1, imageSize: 75 },
          decoder: { embedding: 20, units: 16, vocabulary: 16, initScale: 1 },
        },
        augmentation: { resize: resized },
        engine: { threads: 1 },
      });
      checkpoint = join(run, 'checkpoints', '00000001');
      const out = join(folder, 'saved-model');
      exportTo(out, checkpoint);
      seen = JSON.parse(runPython(python ?? '', script, out, String(beam), '20', ...files)) as Seen;
    }, 600_000);

    it('has signatures, and its numbers are the engine’s to 1e-5', async () => {
      expect(seen.signatures).toEqual(['decode_step', 'image_features', 'preprocess', 'serving_default']);
      const model = await loadCheckpoint(checkpoint, null);
      const engine = tensorflowEngine(tensorflow(), { ...chooseEngine(model.job).options, threads: 1 });
      await engine.setParameters(model.parameters, { decoder: 0, embedding: 0, encoder: 0, statistics: 0 });
      const decode = openPictureDecoder('cpu');
      const side = model.job.model.encoder.imageSize;
      const images = new Float32Array(files.length * side * side * 3);
      for (const [i, file] of files.entries()) {
        const picture = decode(readFileSync(file), file, { maxMegapixels: 1, setting: '', upright: false });
        resizeCrop(picture, resized, centralCrop(resized, side), images, i * side * side * 3, 'centred');
      }
      expectClose(seen.images.flat(), images, 1e-6);
      const features = await engine.features(images, files.length);
      expect(Math.max(...features)).toBeGreaterThan(0.5);
      expectClose(seen.features.flat(), features, 1e-5);
      expectClose(seen.alone, features.subarray(0, seen.alone.length), 1e-5);
      const { c, h } = await engine.decodeStart(features, files.length);
      expectClose(seen.state.flat(), interleaved(c, h, files.length), 1e-5);
      const start = new Int32Array(files.length).fill(model.vocabulary.startId);
      const step = await engine.decodeStep(start, { c, h }, 16);
      const theirs = [...step.words].map((word, i) => seen.probabilities[Math.floor(i / 16)]?.[word] ?? NaN);
      expectClose(theirs, step.probabilities, 1e-5);
      expectClose(seen.next.flat(), interleaved(step.c, step.h, files.length), 1e-5);
      await engine.close();
    });

    it('gives the same captions by beam search, with log-probabilities to 1e-4', async () => {
      const model = await loadCheckpoint(checkpoint, null);
      await using captioner = await Captioner.open(model);
      const images = seen.images.map((image) => ({ image: Float32Array.from(image), beam }));
      const ours = await captioner.caption(images);
      expect(ours.flat().some(({ caption }) => caption.split(' ').length > 2)).toBe(true);
      expect(ours.map((captions) => captions.map(({ caption }) => caption))).toEqual(
        seen.captions.map((captions) => captions.map(({ caption }) => caption)),
      );
      const logprobs = ours.flat().map(({ logProbability }) => logProbability);
      expectClose(
        seen.captions.flat().map(({ logprob }) => logprob),
        logprobs,
        1e-4,
      );
    });
  },
);

function exportTo(out: string, checkpoint: string): void {
  const cli = fileURLToPath(import.meta.resolve('@showtell/coordinator/cli/main.js'));
  const args = [cli, 'checkpoint', 'export', checkpoint, '--format', 'saved-model', '--out', out, '--json'];
  const done = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(done).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(done.stdout)).toMatchObject({
    format: 'saved-model',
    path: out,
    files: ['saved_model.pb', 'assets.extra/word_counts.txt'],
  });
  expect(readdirSync(dirname(out)).filter((name) => name.includes('writing'))).toEqual([]);
  expect(spawnSync(process.execPath, args)).toMatchObject({ status: 73 });
}

/** c and h of each row, one after the other. */
function interleaved(c: Float32Array, h: Float32Array, rows: number): number[] {
  const U = c.length / rows;
  return Array.from({ length: rows }, (_, i) => [
    ...c.subarray(i * U, (i + 1) * U),
    ...h.subarray(i * U, (i + 1) * U),
  ]).flat();
}

function expectClose(theirs: readonly number[], ours: ArrayLike<number>, bound: number): void {
  expect(theirs.length).toBe(ours.length);
  const furthest = theirs.reduce((most, value, i) => Math.max(most, Math.abs(value - (ours[i] ?? NaN))), 0);
  expect(furthest).toBeLessThan(bound);
}

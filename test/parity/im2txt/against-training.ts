import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ParameterServer } from '@showtell/coordinator/parameter-server/parameter-server.js';
import { Phase, Verdict, WireType } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { learningRate } from '@showtell/shared/job/learning-rate.js';
import { featuresOf } from '@showtell/shared/model/parameters.js';
import { allocateSegments, type SegmentName, type Segments, tensorView } from '@showtell/shared/tensors/layout.js';
import type { Engine } from '@showtell/worker/engine/engine.js';
import { chooseEngine } from '@showtell/worker/engine/choose-engine.js';
import type { DecoderOnlyBatch, JointBatch } from '@showtell/worker/engine/engine.js';
import { tensorflowEngine } from '@showtell/worker/engine/tensorflow/engine.js';
import { haveTensorflow, tensorflow } from '../../support/tensorflow.js';
import { formulaParameters, here, jobOf, type Shape } from './checkpoint.js';
import { parameter, unit } from './formula.js';

/** What im2txt's model and train.py gave: generate.py. */
interface Case {
  readonly trainInception: boolean;
  readonly clip: number;
  /** Of the first step, a word each; padding too. */
  readonly losses: number[];
  readonly weights: number[];
  readonly batchLoss: number;
  /** With L2; one a step. */
  readonly totalLosses: number[];
  /** Of the first step's gradient, the embedding's made dense. */
  readonly norm: number;
  /** As TensorFlow takes it where the embedding's gradient is IndexedSlices. */
  readonly sparseNorm: number;
  readonly gradientNorms: Record<string, number>;
  /** The decoder's, clipped; where nothing was clipped, none. */
  readonly gradients: Record<string, string>;
  /** The decoder's parameters after the last step. */
  readonly after: Record<string, string>;
  readonly movedNorms: Record<string, number>;
}
const { shape, cases } = JSON.parse(readFileSync(here('training.json'), 'utf8')) as {
  shape: Shape & { B: number; T: number; lengths: number[]; rate: number; featureKeep: number };
  cases: Case[];
};
const { B, T, lengths, size, E, U, V, rate } = shape;

const counts = (i: number): boolean => i % T < lengths[Math.floor(i / T)]!;
const drawn = (name: string, below: number): Int32Array =>
  Int32Array.from(unit(name, B * T), (x, i) => (counts(i) ? x * below : 0));
const captions = {
  B,
  T,
  inputs: drawn('inputs', 6),
  targets: drawn('targets', V),
  mask: Float32Array.from({ length: B * T }, (_, i) => (counts(i) ? 1 : 0)),
  // im2txt's keep is 1 here: against masks, dropout is held in the encoders' parity tests.
  dropout: { inputs: new Float32Array((T + 1) * B * E).fill(1), outputs: new Float32Array(T * B * U).fill(1) },
};
const images = Float32Array.from(unit('images', B * size * size * 3), (x) => 2 * x - 1);

function floats(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
}
function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}
/** Largest difference, relative to the largest expected value. */
function difference(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  const most = actual.reduce((m, value, i) => Math.max(m, Math.abs(value - expected[i]!)), 0);
  return most / expected.reduce((m, value) => Math.max(m, Math.abs(value)), 0);
}
const relative = (actual: number, expected: number): number => Math.abs(actual / expected - 1);

export interface Bounds {
  /** Of the first step's losses, relative. */
  readonly loss: number;
  /** Of the decoder's gradients and steps in the joint phase, by their largest. */
  readonly joint: number;
}

/** The engine and the parameter server against the values of im2txt's own training. */
export function agreesWithTraining(kernels: string, bounds: Bounds): void {
  describe.skipIf(!haveTensorflow)(
    `im2txt's ShowAndTellModel and the steps of its train.py, by ${kernels} kernels (needs the engine: showtell engine setup)`,
    () => {
      const firstJob = jobOf(shape);
      const { specs, layout } = formulaParameters(firstJob);
      const F = featuresOf(firstJob.model.encoder);
      const featureDropout = Float32Array.from(unit('feature dropout', B * F), (x) =>
        x < shape.featureKeep ? 1 / shape.featureKeep : 0,
      );
      let engine: Engine;
      beforeAll(() => {
        engine = tensorflowEngine(tensorflow(), chooseEngine(firstJob).options);
      });
      afterAll(() => engine.close());

      it.each(cases.filter(({ trainInception }) => !trainInception))(
        "each word's loss, decoder alone, clip $clip",
        async ({ losses, weights }) => {
          const { parameters } = formulaParameters(firstJob);
          await engine.setParameters(parameters, { decoder: 0, embedding: 0, encoder: 0, statistics: 0 });
          const features = await engine.features(images, B);
          for (let t = 0; t < T; t++) {
            // The losses of the words at one place, by leaving out the others.
            const mask = captions.mask.map((counted, i) => (i % T === t ? counted : 0));
            const { lossSums } = await engine.evaluate({ ...captions, mask, features });
            for (const [b, loss] of lossSums.entries()) {
              expect(captions.mask[b * T + t]).toBe(weights[b * T + t]);
              expect(Math.abs(loss - losses[b * T + t]! * weights[b * T + t]!)).toBeLessThan(1e-4);
            }
          }
        },
      );

      it.each(cases.map((given) => [given.trainInception ? 'joint' : 'decoder-only', given.clip, given] as const))(
        'losses, gradients and steps, %s, clip %d',
        async (phase, clip, given) => {
          const decay = { factor: 0.5, everySteps: 2 };
          const job = jobOf(shape, {
            batch: { examples: B, units: 1 },
            optimizer: { clip },
            phases: {
              decoderOnly: { learningRate: rate, decay },
              joint: { learningRate: rate },
            },
          });
          const state = { step: 0, lineage: 0, phase, parameters: formulaParameters(job).parameters, optimizer: null };
          await using server = await ParameterServer.open({
            layout,
            specs,
            job,
            state,
            run: 'parity',
            generation: 1,
            threads: 1,
            sharedMemory: null,
          });
          for (const [step, totalLoss] of given.totalLosses.entries()) {
            const pinned = server.pin();
            const { parameters } = await pinned.read();
            await engine.setParameters(parameters, {
              decoder: step,
              embedding: step,
              encoder: 0,
              statistics: 0,
            });
            const into = { ...allocateSegments(layout), embeddingRows: new Float32Array(B * T * E) };
            const batch: DecoderOnlyBatch | JointBatch =
              phase === 'joint'
                ? { ...captions, phase, images, featureDropout }
                : { ...captions, phase, features: await engine.features(images, B) };
            const { lossSum, tokens, words } = await engine.gradientStep(batch, into);
            const l2 = phase === 'joint' ? l2Loss(parameters, job.phases.joint.l2) : 0;
            expect(relative(lossSum / tokens + l2, totalLoss)).toBeLessThan(step === 0 ? bounds.loss : 1e-4);
            if (step === 0) expect(relative(lossSum / tokens, given.batchLoss)).toBeLessThan(bounds.loss);
            into.embedding.fill(0);
            for (const [i, word] of words.entries())
              into.embedding.set(into.embeddingRows.subarray(i * E, (i + 1) * E), word * E);

            const done = server.step({ step, phase, learningRate: learningRate(job, phase, step) });
            await push(server, step, phase, into);
            const { gradientNorm, clipScale } = await done;
            pinned.release();
            if (step > 0) continue;
            expect(relative(gradientNorm, given.norm)).toBeLessThan(Math.max(bounds.joint, 1e-3));
            expect(clipScale < 1).toBe(given.norm > clip);
            for (const [name, expected] of Object.entries(given.gradients)) {
              const clipped = tensorView(into, layout.entry(name)).map((value) => value * clipScale);
              expect(difference(clipped, floats(expected)), name).toBeLessThan(phase === 'joint' ? bounds.joint : 1e-4);
            }
            for (const [name, expected] of Object.entries(given.gradientNorms)) {
              const encoder = name.startsWith('InceptionV3');
              if (!encoder)
                expect(relative(norm(tensorView(into, layout.entry(name))) * clipScale, expected)).toBeLessThan(
                  Math.max(bounds.joint, 1e-3),
                );
            }
          }
          const last = server.pin();
          const { parameters: after } = await last.read();
          for (const [name, expected] of Object.entries(given.after)) {
            const entry = layout.entry(name);
            const first = parameter(name, entry.shape);
            const moved = (values: Float32Array): Float32Array => values.map((value, i) => value - first[i]!);
            // How far the steps moved it, not where it was before.
            const [here, there] = [moved(tensorView(after, entry)), moved(floats(expected))];
            expect(difference(here, there), name).toBeLessThan(phase === 'joint' ? bounds.joint : 1e-4);
          }
          for (const [name, expected] of Object.entries(given.movedNorms))
            expect(relative(norm(tensorView(after, layout.entry(name))), expected), name).toBeLessThan(1e-4);
          last.release();
        },
      );

      /** l2 · sum(w²) / 2 over the weights that decay. */
      function l2Loss(parameters: Segments, l2: number): number {
        return specs
          .filter((spec) => spec.l2)
          .reduce((sum, { name }) => sum + (l2 * norm(tensorView(parameters, layout.entry(name))) ** 2) / 2, 0);
      }

      async function push(server: ParameterServer, step: number, phase: string, gradient: Segments) {
        const joint = phase === 'joint';
        const sent: readonly SegmentName[] = joint
          ? ['decoder', 'embedding', 'encoder', 'statistics']
          : ['decoder', 'embedding'];
        const id = { generation: 1, lineage: 0, step };
        const header = {
          unit: { run: 'parity', ...id, index: 0, attempt: 1, evaluation: false },
          version: id,
          phase: joint ? Phase.PHASE_JOINT : Phase.PHASE_DECODER_ONLY,
          worker: 'w',
          examples: B,
          tokens: 1,
          lossSum: 1,
          skipped: [],
          wireType: WireType.WIRE_TYPE_FLOAT32,
          segments: [...sent],
          embeddingRows: [],
          slot: '',
          atShards: false,
          computeSeconds: 0,
          dataSeconds: 0,
        };
        async function* chunks() {
          for (const segment of sent)
            yield { segment, element: 0, body: Buffer.from(gradient[segment].slice().buffer) };
        }
        expect(await server.push(header, chunks())).toMatchObject({ verdict: Verdict.VERDICT_ACCEPTED, detail: '' });
      }
    },
  );
}

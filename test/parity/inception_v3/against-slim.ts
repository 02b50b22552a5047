import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type * as tf from '@tensorflow/tfjs-core';
import { type ModelShape, parametersOf } from '@showtell/shared/model/parameters.js';
import { gradientStep } from '@showtell/worker/engine/eager-step.js';
import { type Tensorflow, loadTensorflow } from '@showtell/worker/engine/tensorflow/addon.js';
import { distinctRows } from '@showtell/worker/engine/tensorflow/distinct-rows.js';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';
import { fusedOps } from '@showtell/worker/engine/tensorflow/fused-ops.js';
import { captionPositions } from '@showtell/worker/model/caption-positions.js';
import { nextWords, startState } from '@showtell/worker/model/decoder.js';
import { encodeFolded } from '@showtell/worker/model/encoder.js';
import { foldBatchNorm } from '@showtell/worker/model/fold-batch-norm.js';
import { type Ops, plainOps } from '@showtell/worker/model/ops.js';
import { captionLosses } from '@showtell/worker/model/show-and-tell.js';
import { mask, parameter, unit } from './formula.js';

/** What TensorFlow 2.15 and TF-Slim 1.1 gave: generate.py. */
interface Values {
  readonly shape: {
    B: number;
    T: number;
    size: number;
    multiplier: number;
    E: number;
    U: number;
    V: number;
    lengths: number[];
    keep: number;
    featureKeep: number;
  };
  readonly joint: {
    features: string;
    loss: number;
    gradientNorms: Record<string, number>;
    gradients: Record<string, string>;
    statistics: Record<string, number>;
  };
  readonly decoderOnly: { featureNorm: number; loss: number; gradientNorms: Record<string, number> };
  readonly evaluation: { features: string; loss: number; sum: number; probabilities: string };
}
const read = (file: string): unknown => JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'));
const values = read('values.json') as Values;

const { B, T, size, multiplier, E, U, V, lengths, keep, featureKeep } = values.shape;
const F = 512;
const encoder = {
  name: 'inception_v3',
  depthMultiplier: multiplier,
  imageSize: size,
  batchNormEpsilon: 0.001,
} as const;
const shape: ModelShape = { encoder, decoder: { embedding: E, units: U, vocabulary: V, initScale: 0.08 } };
const haveEngine = existsSync(engineFolder('cpu').addon);

function floats(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
}

function norm(array: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < array.length; i++) sum += array[i]! ** 2;
  return Math.sqrt(sum);
}

/** Largest difference, relative to the largest expected value. */
function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let most = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    most = Math.max(most, Math.abs(actual[i]! - expected[i]!));
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return most / largest;
}

function relative(actual: number, expected: number): number {
  return Math.abs(actual / expected - 1);
}

export interface Bounds {
  /** Of features, relative to the largest. */
  readonly features: number;
  /** Of losses, relative. */
  readonly loss: number;
  /** Of the norms of the decoder's gradients, relative. */
  readonly decoder: number;
  /** Of the norms of the encoder's gradients in the joint phase, relative. */
  readonly encoder: number;
}

/** The model by the given operations against TensorFlow's values. */
export function agreesWithSlim(kind: 'fused' | 'plain', bounds: Bounds): void {
  describe.skipIf(!haveEngine)(
    `Inception V3 and im2txt's decoder by ${kind} operations, against TF-Slim (needs the engine: showtell engine setup)`,
    () => {
      let engine: Tensorflow;
      let ops: Ops;
      let parameters: Record<string, tf.Tensor>;
      let inputs: Int32Array;
      let targets: Int32Array;
      const mask01 = Float32Array.from({ length: B * T }, (_, i) => (i % T < lengths[Math.floor(i / T)]! ? 1 : 0));

      beforeAll(() => {
        engine = loadTensorflow({ threads: 1 });
        ops = kind === 'fused' ? fusedOps(engine.backend) : plainOps;
        parameters = Object.fromEntries(
          parametersOf(shape).map(({ name, shape }) => [name, engine.tf.tensor(parameter(name, shape), [...shape])]),
        );
        inputs = Int32Array.from(unit('inputs', B * T), (x) => x * V);
        targets = Int32Array.from(unit('targets', B * T), (x) => x * V);
      });

      const tensor = <R extends tf.Rank>(values: Float32Array | Int32Array, ...dims: number[]): tf.Tensor<R> =>
        engine.tf.tensor<R>(values, dims as tf.ShapeMap[R], values instanceof Int32Array ? 'int32' : 'float32');
      const images = () =>
        tensor<tf.Rank.R4>(
          Float32Array.from(unit('images', B * size * size * 3), (x) => 2 * x - 1),
          B,
          size,
          size,
          3,
        );
      const captions = () => ({
        inputs: tensor<tf.Rank.R2>(inputs, B, T),
        targets: tensor<tf.Rank.R2>(targets, B, T),
        mask: tensor<tf.Rank.R2>(mask01, B, T),
      });
      const dropout = () => ({
        inputs: tensor<tf.Rank.R3>(mask('input dropout', keep, (T + 1) * B * E), T + 1, B, E),
        outputs: tensor<tf.Rank.R3>(mask('output dropout', keep, T * B * U), T, B, U),
      });
      const featuresOfFrozen = () => {
        const folded = foldBatchNorm(encoder, (name) => parameters[name]!.dataSync() as Float32Array);
        const tensors = Object.fromEntries(folded.map(({ name, shape, values }) => [name, tensor(values, ...shape)]));
        return encodeFolded(ops, encoder, tensors, images());
      };
      const namesOf = (...groups: string[]) =>
        parametersOf(shape)
          .filter((spec) => groups.includes(spec.group))
          .map((spec) => spec.name);

      it('agree on features in inference mode, with batch norm folded', () => {
        const features = engine.tf.tidy(() => featuresOfFrozen().dataSync());
        expect(difference(features, floats(values.evaluation.features))).toBeLessThan(bounds.features);
      });

      it('agree on the loss and the word probabilities in inference mode', () => {
        engine.tf.tidy(() => {
          const features = featuresOfFrozen();
          const sums = captionLosses(ops, parameters, features, captions()).dataSync() as Float32Array;
          expect(
            relative(
              sums.reduce((a, b) => a + b, 0),
              values.evaluation.sum,
            ),
          ).toBeLessThan(2e-6);

          let state = startState(ops, parameters, features);
          const probabilities: number[] = [];
          for (let t = 0; t < 4; t++) {
            const words = tensor<tf.Rank.R1>(
              inputs.filter((_, i) => i % T === t),
              B,
            );
            const next = nextWords(ops, parameters, words, state);
            probabilities.push(...next.probabilities.dataSync().slice(0, V));
            state = next;
          }
          expect(difference(probabilities, floats(values.evaluation.probabilities))).toBeLessThan(1e-5);
        });
      });

      it('agree on a decoder-only step', () => {
        engine.tf.tidy(() => {
          const features = featuresOfFrozen();
          const batch = { phase: 'decoder-only', features, captions: captions(), dropout: dropout() } as const;
          const step = gradientStep(ops, encoder, parameters, namesOf('decoder', 'embedding'), batch);
          expect(relative(step.loss.dataSync()[0]!, values.decoderOnly.loss)).toBeLessThan(bounds.loss);
          expect(Object.keys(step.gradients).sort()).toEqual(Object.keys(values.decoderOnly.gradientNorms).sort());
          for (const [name, expected] of Object.entries(values.decoderOnly.gradientNorms))
            expect(relative(norm(step.gradients[name]!.dataSync()), expected), name).toBeLessThan(bounds.decoder);
        });
      });

      it('agree on a joint step: features, loss, gradients, batch statistics', () => {
        engine.tf.tidy(() => {
          const batch = {
            phase: 'joint',
            images: images(),
            featureDropout: tensor<tf.Rank.R2>(mask('feature dropout', featureKeep, B * F), B, F),
            captions: captions(),
            dropout: dropout(),
          } as const;
          const step = gradientStep(ops, encoder, parameters, namesOf('decoder', 'embedding', 'encoder'), batch);
          expect(relative(step.loss.dataSync()[0]!, values.joint.loss)).toBeLessThan(bounds.loss);
          for (const [name, expected] of Object.entries(values.joint.gradients))
            expect(difference(step.gradients[name]!.dataSync(), floats(expected)), name).toBeLessThan(
              10 * bounds.decoder,
            );
          expect(Object.keys(step.gradients).sort()).toEqual(Object.keys(values.joint.gradientNorms).sort());
          const worst = { encoder: 0, decoder: 0 };
          for (const [name, expected] of Object.entries(values.joint.gradientNorms)) {
            const kind = name.startsWith('InceptionV3') ? 'encoder' : 'decoder';
            worst[kind] = Math.max(worst[kind], relative(norm(step.gradients[name]!.dataSync()), expected));
          }
          expect(worst.decoder).toBeLessThan(10 * bounds.decoder);
          expect(worst.encoder).toBeLessThan(bounds.encoder);
          expect(Object.keys(step.statistics).sort()).toEqual(Object.keys(values.joint.statistics).sort());
          for (const [name, expected] of Object.entries(values.joint.statistics))
            expect(relative(norm(step.statistics[name]!.dataSync()), expected), name).toBeLessThan(1e-3);
        });
      });

      it('give the same loss and gradients from the distinct rows and the positions that count', () => {
        engine.tf.tidy(() => {
          const features = featuresOfFrozen();
          const trained = namesOf('decoder', 'embedding');
          const whole = gradientStep(ops, encoder, parameters, trained, {
            phase: 'decoder-only',
            features,
            captions: captions(),
            dropout: dropout(),
          });
          const { words, rows } = distinctRows(inputs);
          const table = engine.tf.gather(parameters['seq_embedding/map']!, tensor<tf.Rank.R1>(words, words.length));
          const positions = captionPositions(mask01, B, T, 16);
          expect(positions.length).toBe(48);
          const sparse = gradientStep(ops, encoder, { ...parameters, 'seq_embedding/map': table }, trained, {
            phase: 'decoder-only',
            features,
            captions: {
              ...captions(),
              inputs: tensor<tf.Rank.R2>(rows, B, T),
              positions: tensor<tf.Rank.R1>(positions, 48),
            },
            dropout: dropout(),
          });
          expect(relative(sparse.loss.dataSync()[0]!, whole.loss.dataSync()[0]!)).toBeLessThan(1e-6);
          for (const name of trained.filter((name) => name !== 'seq_embedding/map'))
            expect(
              difference(sparse.gradients[name]!.dataSync(), whole.gradients[name]!.dataSync()),
              name,
            ).toBeLessThan(1e-5);
          const dense = new Float32Array(V * E);
          const sums = sparse.gradients['seq_embedding/map']!.dataSync();
          for (let row = 0; row < words.length; row++) dense.set(sums.slice(row * E, (row + 1) * E), words[row]! * E);
          expect(difference(dense, whole.gradients['seq_embedding/map']!.dataSync())).toBeLessThan(1e-5);
        });
      });
    },
  );
}

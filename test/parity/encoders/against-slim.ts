import { beforeAll, describe, expect, it } from 'vitest';
import * as tf from '@tensorflow/tfjs-core';
import { type ConvLayer, walkNetwork } from '@showtell/shared/model/network.js';
import {
  type EncoderName,
  type ModelShape,
  featuresOf,
  networkOf,
  parametersOf,
} from '@showtell/shared/model/parameters.js';
import { gradientStep } from '@showtell/worker/engine/eager-step.js';
import { distinctRows } from '@showtell/worker/engine/distinct-rows.js';
import { captionPositions } from '@showtell/worker/model/caption-positions.js';
import { nextWords, startState } from '@showtell/worker/model/decoder.js';
import { encodeFolded, encodeTraining } from '@showtell/worker/model/encoder.js';
import { foldBatchNorm } from '@showtell/worker/model/fold-batch-norm.js';
import type { Ops } from '@showtell/worker/model/ops.js';
import { captionLosses } from '@showtell/worker/model/show-and-tell.js';
import { mask, parameter, probe, unit } from './formula.js';
import { type Probe, floats, slimValues } from './values.js';
import { watchConvolutions } from './watched-ops.js';

/** Largest differences that are no fault, all relative. */
export interface Bounds {
  /** Of features in inference mode, to the largest; of a convolution's mean and root mean square, to the latter. */
  readonly features: number;
  /** Of features in training mode, to the largest: the last layers' batch norm sees few values and magnifies. */
  readonly trainingFeatures: number;
  readonly loss: number;
  /** Of the decoder's gradients, to their norms; in the joint phase ten times as much. */
  readonly decoder: number;
  /** Of the norms of the encoder's gradients in the joint phase; three times as much along a direction. */
  readonly encoder: number;
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

/**
 * How far values are from those that were probed, relative to their norm.
 * @param leeway by how much more they may differ along the direction than in their norms
 */
function apart(name: string, values: ArrayLike<number>, [norm, along]: Probe, leeway = 1): number {
  const [ownNorm, ownAlong] = probe(name, values);
  return Math.max(Math.abs(ownNorm - norm), Math.abs(ownAlong - along) / leeway) / norm;
}

/** What computes: a backend of tfjs and the operations on it. */
export interface Computing {
  /** For the title, such as "fused operations". */
  readonly what: string;
  readonly available: boolean;
  readonly needs: string;
  /** Whether what a joint step shows by its gradients is not looked at convolution by convolution too. */
  readonly isSlow?: true;
  /** Makes the backend tfjs's own. */
  readonly open: () => Promise<Ops> | Ops;
}

/** An encoder and im2txt's decoder by the given operations against TensorFlow's values. */
export function agreesWithSlim(name: EncoderName, computing: Computing, bounds: Bounds): void {
  const { what, available, needs, isSlow = false, open } = computing;
  const values = slimValues(name);
  const { B, T, size, multiplier, E, U, V, lengths, keep, featureKeep, decay } = values.shape;
  const encoder = { name, depthMultiplier: multiplier, imageSize: size, batchNormEpsilon: 0.001 };
  const shape: ModelShape = { encoder, decoder: { embedding: E, units: U, vocabulary: V, initScale: 0.08 } };
  const specs = parametersOf(shape);
  const F = featuresOf(encoder);
  const layers = convolutionsOf(encoder);
  const namesOf = (...groups: string[]): string[] =>
    specs.filter((spec) => groups.includes(spec.group)).map((spec) => spec.name);

  /** Convolutions, from the first, whose outputs are not slim's. */
  const strangers = (spreads: readonly Probe[], expected: readonly Probe[]): string[] => {
    expect(spreads.length).toBe(expected.length);
    return layers.flatMap(({ name, scale }, i) => {
      const [mean, rms] = expected[i]!.map((value) => value * scale) as [number, number];
      const by = Math.max(Math.abs(spreads[i]![0] - mean), Math.abs(spreads[i]![1] - rms)) / rms;
      return by < bounds.features ? [] : [`${name}: ${by}`];
    });
  };

  const title = `${name} and im2txt's decoder by ${what}, against TF-Slim (${needs})`;
  describe.skipIf(!available)(title, () => {
    let ops: Ops;
    let parameters: Record<string, tf.Tensor>;
    let features: Float32Array;
    let frozenSpreads: readonly Probe[];
    const inputs = Int32Array.from(unit('inputs', B * T), (x) => x * V);
    const targets = Int32Array.from(unit('targets', B * T), (x) => x * V);
    const mask01 = Float32Array.from({ length: B * T }, (_, i) => (i % T < lengths[Math.floor(i / T)]! ? 1 : 0));
    const pixels = Float32Array.from(unit('images', B * size * size * 3), (x) => 2 * x - 1);

    const tensor = <R extends tf.Rank>(values: Float32Array | Int32Array, ...dims: number[]): tf.Tensor<R> =>
      tf.tensor<R>(values, dims as tf.ShapeMap[R], values instanceof Int32Array ? 'int32' : 'float32');
    const images = () => tensor<tf.Rank.R4>(pixels, B, size, size, 3);
    const captions = () => ({
      inputs: tensor<tf.Rank.R2>(inputs, B, T),
      targets: tensor<tf.Rank.R2>(targets, B, T),
      mask: tensor<tf.Rank.R2>(mask01, B, T),
    });
    const dropout = () => ({
      inputs: tensor<tf.Rank.R3>(mask('input dropout', keep, (T + 1) * B * E), T + 1, B, E),
      outputs: tensor<tf.Rank.R3>(mask('output dropout', keep, T * B * U), T, B, U),
    });
    const frozen = () => tensor<tf.Rank.R2>(features, B, F);
    const expectFeatures = (actual: Float32Array, expected: typeof values.joint.features, bound: number): void => {
      expect(difference(actual.subarray(0, 2 * F), floats(expected.first))).toBeLessThan(bound);
      expect(apart('features', actual, expected.all)).toBeLessThan(bound);
    };

    beforeAll(async () => {
      ops = await open();
      const first = specs.map(({ name, shape }) => ({ name, shape, values: parameter(name, shape) }));
      parameters = Object.fromEntries(first.map(({ name, shape, values }) => [name, tf.tensor(values, [...shape])]));
      await scoped(async () => {
        const folded = foldBatchNorm(encoder, (name) => first.find((one) => one.name === name)!.values);
        const tensors = Object.fromEntries(folded.map(({ name, shape, values }) => [name, tensor(values, ...shape)]));
        const watched = watchConvolutions(ops);
        features = await encodeFolded(watched.ops, encoder, tensors, images()).data<'float32'>();
        frozenSpreads = await watched.spreads();
      });
    });

    it('agree in inference mode, with batch norm folded, convolution by convolution', async () => {
      expect(strangers(frozenSpreads, values.evaluation.layers)).toEqual([]);
      expectFeatures(features, values.evaluation.features, bounds.features);
    });

    it('agree on the loss and the word probabilities in inference mode', async () => {
      await scoped(async () => {
        const sums = await captionLosses(ops, parameters, frozen(), captions()).data<'float32'>();
        const sum = sums.reduce((a, b) => a + b, 0);
        expect(relative(sum, values.evaluation.sum)).toBeLessThan(bounds.loss);

        let state = startState(ops, parameters, frozen());
        const probabilities: number[] = [];
        for (let t = 0; t < 4; t++) {
          const words = inputs.filter((_, i) => i % T === t);
          const next = nextWords(ops, parameters, tensor<tf.Rank.R1>(words, B), state);
          probabilities.push(...(await next.probabilities.data()).slice(0, V));
          state = next;
        }
        expect(difference(probabilities, floats(values.evaluation.probabilities))).toBeLessThan(bounds.features);
      });
    });

    it('agree on a decoder-only step', async () => {
      await scoped(async () => {
        const batch = { phase: 'decoder-only', features: frozen(), captions: captions(), dropout: dropout() } as const;
        const step = gradientStep(ops, encoder, parameters, namesOf('decoder', 'embedding'), batch);
        expect(relative((await step.loss.data())[0]!, values.decoderOnly.loss)).toBeLessThan(bounds.loss);
        const { trained, gradients } = values.decoderOnly;
        expect(Object.keys(step.gradients)).toEqual(trained);
        for (const [i, name] of trained.entries())
          expect(apart(name, await step.gradients[name]!.data(), gradients[i]!), name).toBeLessThan(bounds.decoder);
      });
    });

    if (!isSlow)
      it('agree in training mode, convolution by convolution', async () => {
        await scoped(async () => {
          const watched = watchConvolutions(ops);
          const { features, statistics } = encodeTraining(watched.ops, encoder, parameters, images());
          expect(strangers(await watched.spreads(), values.joint.layers)).toEqual([]);
          expectFeatures(await features.data<'float32'>(), values.joint.features, bounds.trainingFeatures);
          tf.dispose(Object.values(statistics));
        });
      });

    it('agree on a joint step: loss, every gradient, and the moving averages after it', async () => {
      await scoped(async () => {
        const batch = {
          phase: 'joint',
          images: images(),
          featureDropout: tensor<tf.Rank.R2>(mask('feature dropout', featureKeep, B * F), B, F),
          captions: captions(),
          dropout: dropout(),
        } as const;
        const trained = [...namesOf('encoder'), ...namesOf('decoder', 'embedding')];
        expect(trained.length).toBe(values.joint.gradients.length);
        const step = gradientStep(ops, encoder, parameters, trained, batch);
        expect(relative((await step.loss.data())[0]!, values.joint.loss)).toBeLessThan(bounds.loss);
        const encoders = new Set(namesOf('encoder'));
        const gradients = await Promise.all(trained.map((name) => step.gradients[name]!.data<'float32'>()));
        const far = trained.flatMap((name, i) => {
          const isEncoder = encoders.has(name);
          if (isVoid(name)) {
            // Zero but for rounding, here as there: it is held against its layer's weights' gradient.
            const weights = name.replace(/biases$/, 'weights');
            const whole = values.joint.gradients[trained.indexOf(weights)]![0];
            const own = probe(name, gradients[i]!)[0];
            return Math.max(own, values.joint.gradients[i]![0]) < 1e-6 * whole ? [] : [`${name}: ${own}`];
          }
          const by = apart(name, gradients[i]!, values.joint.gradients[i]!, isEncoder ? 3 : 1);
          return by < (isEncoder ? bounds.encoder : 10 * bounds.decoder) ? [] : [`${name}: ${by}`];
        });
        expect(far).toEqual([]);

        const moving = namesOf('statistics');
        expect(Object.keys(step.statistics)).toEqual(moving);
        for (const [i, name] of moving.entries()) {
          const before = await parameters[name]!.data<'float32'>();
          const batch = await step.statistics[name]!.data<'float32'>();
          const after = before.map((value, c) => decay * value + (1 - decay) * batch[c]!);
          expect(apart(name, after, values.joint.moving[i]!), name).toBeLessThan(1e-4);
        }
        tf.dispose(Object.values(step.statistics));
      });
    });

    it('give the same loss and gradients from the distinct rows and the positions that count', async () => {
      await scoped(async () => {
        const trained = namesOf('decoder', 'embedding');
        const whole = gradientStep(ops, encoder, parameters, trained, {
          phase: 'decoder-only',
          features: frozen(),
          captions: captions(),
          dropout: dropout(),
        });
        const { words, rows } = distinctRows(inputs);
        const table = tf.gather(parameters['seq_embedding/map']!, tensor<tf.Rank.R1>(words, words.length));
        const positions = captionPositions(mask01, B, T, 8);
        expect(positions.length).toBeLessThan(B * T);
        const sparse = gradientStep(ops, encoder, { ...parameters, 'seq_embedding/map': table }, trained, {
          phase: 'decoder-only',
          features: frozen(),
          captions: {
            ...captions(),
            inputs: tensor<tf.Rank.R2>(rows, B, T),
            positions: tensor<tf.Rank.R1>(positions, positions.length),
          },
          dropout: dropout(),
        });
        expect(relative((await sparse.loss.data())[0]!, (await whole.loss.data())[0]!)).toBeLessThan(1e-6);
        for (const name of trained.filter((name) => name !== 'seq_embedding/map'))
          expect(
            difference(await sparse.gradients[name]!.data(), await whole.gradients[name]!.data()),
            name,
          ).toBeLessThan(1e-5);
        const dense = new Float32Array(V * E);
        const sums = await sparse.gradients['seq_embedding/map']!.data();
        for (let row = 0; row < words.length; row++) dense.set(sums.slice(row * E, (row + 1) * E), words[row]! * E);
        expect(difference(dense, await whole.gradients['seq_embedding/map']!.data())).toBeLessThan(1e-5);
      });
    });
  });
}

/** Disposes of the tensors that were made, when all was read. */
async function scoped(body: () => Promise<void>): Promise<void> {
  tf.engine().startScope();
  try {
    await body();
  } finally {
    tf.engine().endScope();
  }
}

/**
 * Whether a gradient is zero in exact arithmetic: Inception-ResNet-v2's last block has no ReLU, so its biases are lost in
 * the mean that the next layer's batch norm takes off.
 */
function isVoid(name: string): boolean {
  return name === 'InceptionResnetV2/Block8/Conv2d_1x1/biases';
}

function convolutionsOf(encoder: { readonly name: EncoderName; readonly depthMultiplier: number }): ConvLayer[] {
  const layers: ConvLayer[] = [];
  const nothing = (): null => null;
  const conv = (layer: ConvLayer): null => {
    layers.push(layer);
    return null;
  };
  const { depthMultiplier } = encoder;
  walkNetwork<null>(networkOf(encoder), depthMultiplier, { conv, pool: nothing, concat: nothing, add: nothing }, null);
  return layers;
}

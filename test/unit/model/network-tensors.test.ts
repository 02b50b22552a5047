import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type * as tfjs from '@tensorflow/tfjs-core';
import { initializeParameter } from '@showtell/shared/model/initialize.js';
import { type Network, conv, mixed } from '@showtell/shared/model/network.js';
import { networkParameters } from '@showtell/shared/model/parameters.js';
import { gradientStep } from '@showtell/worker/engine/eager-step.js';
import { type Tensorflow, loadTensorflow } from '@showtell/worker/engine/tensorflow/addon.js';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';
import { fusedOps } from '@showtell/worker/engine/tensorflow/fused-ops.js';
import { runNetwork } from '@showtell/worker/model/encoder.js';
import { type Ops, plainOps } from '@showtell/worker/model/ops.js';
import { decoderParameters } from '@showtell/shared/model/decoder.js';
import { random } from '@showtell/shared/random.js';

const haveEngine = existsSync(engineFolder('cpu').addon);

/** The kinds of row that Inception V3 has not: V2's separable stem, Inception-ResNet's residual blocks. */
const network: Network = {
  scope: 'Net',
  nativeSize: 14,
  minDepth: 4,
  firstValues: 'variance-scaling',
  rows: [
    {
      kind: 'separable',
      name: 'Stem',
      channels: 16,
      kernel: [7, 7],
      stride: 2,
      padding: 'SAME',
      maxMultiplier: 8,
      stddev: 1,
    },
    {
      kind: 'residual',
      branches: [
        { scope: 'Block/Branch_0', rows: [conv('Conv2d_1x1', 8, [1, 1])] },
        { scope: 'Block/Branch_1', rows: [conv('Conv2d_0a_1x1', 8, [1, 1]), conv('Conv2d_0b_3x3', 12, [3, 3])] },
      ],
      up: 'Block/Conv2d_1x1',
      scale: 0.17,
      relu: true,
    },
    mixed('Mixed', [conv('A', 8, [1, 1])], [conv('B', 8, [3, 3])]),
  ],
};

describe.skipIf(!haveEngine)('the forward pass (needs the engine: showtell engine setup)', () => {
  let engine: Tensorflow;
  let tf: Tensorflow['tf'];
  let ops: Ops;
  beforeAll(() => {
    engine = loadTensorflow({ threads: 1 });
    tf = engine.tf;
    ops = fusedOps(engine.backend);
  });

  const values = <R extends tfjs.Rank>(name: string, ...shape: number[]): tfjs.Tensor<R> => {
    const size = shape.reduce((a, b) => a * b, 1);
    return tf.tensor<R>(random(1, name).fillUniform(new Float32Array(size), -1, 1), shape as tfjs.ShapeMap[R]);
  };

  it('runs separable and residual rows', () => {
    tf.tidy(() => {
      const specs = networkParameters(network, 1);
      expect(
        specs.filter(({ name }) => !name.includes('BatchNorm')).map(({ name, shape, l2 }) => [name, shape, l2]),
      ).toEqual([
        ['Net/Stem/depthwise_weights', [7, 7, 3, 5], false],
        ['Net/Stem/pointwise_weights', [1, 1, 15, 16], false],
        ['Net/Stem/biases', [16], false],
        ['Net/Block/Branch_0/Conv2d_1x1/weights', [1, 1, 16, 8], true],
        ['Net/Block/Branch_1/Conv2d_0a_1x1/weights', [1, 1, 16, 8], true],
        ['Net/Block/Branch_1/Conv2d_0b_3x3/weights', [3, 3, 8, 12], true],
        ['Net/Block/Conv2d_1x1/weights', [1, 1, 20, 16], true],
        ['Net/Block/Conv2d_1x1/biases', [16], false],
        ['Net/Mixed/Branch_0/A/weights', [1, 1, 16, 8], true],
        ['Net/Mixed/Branch_1/B/weights', [3, 3, 16, 8], true],
      ]);
      const p = Object.fromEntries(
        specs.map((spec) => [
          spec.name,
          spec.name.endsWith('biases')
            ? values(spec.name, ...spec.shape)
            : tf.tensor<tfjs.Rank>(initializeParameter(1, spec), [...spec.shape]),
        ]),
      ) as Record<string, tfjs.Tensor4D>;
      const image = values<tfjs.Rank.R4>('image', 2, 14, 14, 3);
      // Batch norm is V3's business: here a convolution is followed by ReLU alone.
      const convolved = (x: tfjs.Tensor4D, name: string) => tf.relu(tf.conv2d(x, p[`${name}/weights`]!, 1, 'same'));
      const actual = runNetwork(ops, network, 1, p, image, ({ name }, x) => convolved(x, name));

      const stem = tf.separableConv2d(
        image,
        p['Net/Stem/depthwise_weights']!,
        p['Net/Stem/pointwise_weights']!,
        2,
        'same',
      );
      const a = tf.relu(tf.add<tfjs.Tensor4D>(stem, p['Net/Stem/biases']!));
      const branches = [
        convolved(a, 'Net/Block/Branch_0/Conv2d_1x1'),
        convolved(convolved(a, 'Net/Block/Branch_1/Conv2d_0a_1x1'), 'Net/Block/Branch_1/Conv2d_0b_3x3'),
      ];
      const up = tf.conv2d(tf.concat(branches, 3), p['Net/Block/Conv2d_1x1/weights']!, 1, 'same');
      const scaled = tf.mul(tf.add(up, p['Net/Block/Conv2d_1x1/biases']!), 0.17);
      const b = tf.relu(tf.add<tfjs.Tensor4D>(a, scaled));
      const expected = tf.concat([convolved(b, 'Net/Mixed/Branch_0/A'), convolved(b, 'Net/Mixed/Branch_1/B')], 3);
      expect(actual.shape).toEqual([2, 7, 7, 16]);
      const difference = tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0]!;
      expect(difference).toBeLessThan(1e-4);
    });
  });

  it.each([
    [2, 1, 3, 5],
    [4, 2, 6, 3],
  ])('computes the LSTM as its elementary operations do, %i steps of %i', (T, B, E, U) => {
    tf.tidy(() => {
      const inputs = [
        values<tfjs.Rank.R3>('x', T, B, E),
        values<tfjs.Rank.R2>('kernel', E + U, 4 * U),
        values<tfjs.Rank.R1>('bias', 4 * U),
      ] as const;
      const towards = values('towards', T, B, U);
      const [fused, plain] = [ops, plainOps].map((either) =>
        tf.valueAndGrads((x, kernel, bias) =>
          tf.sum<tfjs.Scalar>(
            tf.mul(either.lstm(x as tfjs.Tensor3D, kernel as tfjs.Tensor2D, bias as tfjs.Tensor1D), towards),
          ),
        )([...inputs]),
      );
      expect(fused!.value.dataSync()[0]).toBeCloseTo(plain!.value.dataSync()[0]!, 5);
      fused!.grads.forEach((gradient, i) => {
        expect(gradient.shape).toEqual(inputs[i]!.shape);
        expect(tf.max(tf.abs(tf.sub(gradient, plain!.grads[i]!))).dataSync()[0]).toBeLessThan(1e-5);
      });
    });
  });

  it('gives the same bits again, and keeps no tensor', () => {
    const model = { name: 'inception_v3', depthMultiplier: 0.25, batchNormEpsilon: 0.001 } as const;
    const [B, T, E, U, V, F] = [2, 3, 8, 8, 20, 512];
    const specs = decoderParameters({ embedding: E, units: U, vocabulary: V, initScale: 0.08 }, F);
    const parameters = Object.fromEntries(
      specs.map((spec) => [spec.name, tf.tensor(initializeParameter(1, spec), [...spec.shape])]),
    );
    const batch = {
      phase: 'decoder-only',
      features: values<tfjs.Rank.R2>('features', B, F),
      captions: {
        inputs: tf.tensor2d([1, 2, 3, 1, 4, 5], [B, T], 'int32'),
        targets: tf.tensor2d([2, 3, 6, 4, 5, 6], [B, T], 'int32'),
        mask: tf.tensor2d([1, 1, 1, 1, 1, 0], [B, T]),
      },
      dropout: { inputs: values<tfjs.Rank.R3>('in', T + 1, B, E), outputs: values<tfjs.Rank.R3>('out', T, B, U) },
    } as const;
    const once = () => {
      const { loss, lossSum, gradients } = gradientStep(ops, model, parameters, Object.keys(parameters), batch);
      const tensors = [loss, lossSum, ...Object.values(gradients)];
      const bytes = tensors.map((tensor) => Buffer.from(tensor.dataSync().slice().buffer).toString('base64'));
      tf.dispose(tensors);
      return bytes;
    };
    const first = once();
    const before = tf.memory().numTensors;
    expect(once()).toEqual(first);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(parameters);
  });
});

import * as tf from '@tensorflow/tfjs-core';
import { type Ops, tfjsPadding } from '../../model/ops.js';
import { fusedLstm } from './fused-lstm.js';
import { FLOAT, INT32, type TensorflowKernels, differentiable, tensorflowKernels } from './kernels.js';

/**
 * The model's operations by TensorFlow's fused kernels, with their gradients: several times faster than tfjs's own, which
 * are made of elementwise ones.
 */
export function fusedOps(backend: TensorflowKernels): Ops {
  const kernels = tensorflowKernels(backend);
  const { run, runAll, product, productTransposedA, productTransposedB, biasAdd, biasGradient, attributes } = kernels;
  const { type, float, text, flag } = attributes;
  const T = type('T', FLOAT);
  const nhwc = text('data_format', 'NHWC');

  const normRelu = (z: tf.Tensor4D, beta: tf.Tensor1D, epsilon: number) => {
    const gamma = tf.ones(beta.shape);
    const none = tf.tensor1d([]);
    const norm = [T, type('U', FLOAT), float('epsilon', epsilon), nhwc, flag('is_training', true)];
    let moments: readonly tf.Tensor[] = [];
    const y = differentiable(
      [z, beta],
      () => {
        const [normalized, mean, variance, ...reserved] = runAll(
          'FusedBatchNormV3',
          norm,
          [z, gamma, beta, none, none],
          6,
        ) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        moments = [tf.keep(mean), tf.keep(variance)];
        const activated = run('Relu', [T], [normalized]);
        return [activated, [z, activated, gamma, ...reserved]];
      },
      (dy, [x, activated, ones, ...reserved]) => {
        const dz = run('ReluGrad', [T], [dy, activated as tf.Tensor]);
        const inputs = [dz, x as tf.Tensor, ones as tf.Tensor, ...reserved];
        const [dx, , dbeta] = runAll('FusedBatchNormGradV3', norm, inputs, 5) as [tf.Tensor, tf.Tensor, tf.Tensor];
        return [dx, dbeta];
      },
    ) as tf.Tensor4D;
    const [mean, variance] = moments as [tf.Tensor1D, tf.Tensor1D];
    return { y, mean, variance };
  };

  const relu = (x: tf.Tensor4D): tf.Tensor4D =>
    differentiable(
      [x],
      () => {
        const y = run('Relu', [T], [x]);
        return [y, [y]];
      },
      (dy, [y]) => [run('ReluGrad', [T], [dy, y as tf.Tensor])],
    ) as tf.Tensor4D;

  return {
    convNormRelu(x, weights, beta, { stride, padding, epsilon }) {
      return normRelu(tf.conv2d(x, weights, stride, tfjsPadding(padding)), beta, epsilon);
    },

    convBias(x, weights, biases, { stride, padding, relu: activate }) {
      const z = tf.conv2d(x, weights, stride, tfjsPadding(padding));
      const biased = differentiable(
        [z, biases],
        () => [biasAdd(z, biases), []],
        (dy) => [dy, biasGradient(dy)],
      ) as tf.Tensor4D;
      return activate ? relu(biased) : biased;
    },

    relu,

    product(x, weights, biases) {
      const backward = (dy: tf.Tensor, [a, w]: tf.Tensor[]) => [
        productTransposedB(dy, w as tf.Tensor),
        productTransposedA(a as tf.Tensor, dy),
      ];
      if (biases === undefined)
        return differentiable([x, weights], () => [product(x, weights), [x, weights]], backward) as tf.Tensor2D;
      return differentiable(
        [x, weights, biases],
        () => [biasAdd(product(x, weights), biases), [x, weights]],
        (dy, saved) => [...backward(dy, saved), biasGradient(dy)],
      ) as tf.Tensor2D;
    },

    lookup(table, rows) {
      return differentiable(
        [table],
        () => [tf.gather(table, rows), [rows]],
        (dy, [saved]) => [tf.unsortedSegmentSum(dy, saved as tf.Tensor1D, table.shape[0])],
      ) as tf.Tensor2D;
    },

    lstm: (x, kernel, bias) => fusedLstm(kernels, x, kernel, bias),

    crossEntropy(logits, labels) {
      const types = [T, type('Tlabels', INT32)];
      return differentiable(
        [logits],
        () => {
          const [losses, backprop] = runAll('SparseSoftmaxCrossEntropyWithLogits', types, [logits, labels], 2);
          return [losses as tf.Tensor, [backprop as tf.Tensor]];
        },
        (dy, [backprop]) => [tf.mul(backprop as tf.Tensor, tf.expandDims(dy, 1))],
      ) as tf.Tensor1D;
    },
  };
}

import * as tf from '@tensorflow/tfjs-core';
import type { Padding } from '@showtell/shared/model/network.js';

/**
 * The few operations of the model that an engine may replace by faster ones of its own. All of them are differentiable
 * through tfjs's tape, deterministic, and read no value back. Letters: `B` batch, `T` time, `E` embedding, `U` units,
 * `V` words, `H W C` image, `N` rows.
 */
export interface Ops {
  /** Convolution, batch norm by the batch's own statistics, ReLU. */
  convNormRelu(x: tf.Tensor4D, weights: tf.Tensor4D, beta: tf.Tensor1D, options: NormOptions): Normalized;
  /** Convolution, bias, and ReLU where asked: a biased layer, or one with its batch norm folded in. */
  convBias(x: tf.Tensor4D, weights: tf.Tensor4D, biases: tf.Tensor1D, options: BiasOptions): tf.Tensor4D;
  relu(x: tf.Tensor4D): tf.Tensor4D;
  /** x·W, and biases where there are any: [N, I], [I, O] → [N, O]. */
  product(x: tf.Tensor2D, weights: tf.Tensor2D, biases?: tf.Tensor1D): tf.Tensor2D;
  /** Rows of a table: [R, E], [N] int32 → [N, E]; the gradient is summed per row. */
  lookup(table: tf.Tensor2D, rows: tf.Tensor1D): tf.Tensor2D;
  /** The LSTM over a whole sequence from a state of zeros: [T, B, E] → h [T, B, U]. */
  lstm(x: tf.Tensor3D, kernel: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor3D;
  /** −log softmax(logits) at each label: [N, V], [N] int32 → [N]. */
  crossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor1D;
}

export interface ConvOptions {
  readonly stride: number;
  readonly padding: Padding;
}

export interface NormOptions extends ConvOptions {
  readonly epsilon: number;
}

export interface BiasOptions extends ConvOptions {
  readonly relu: boolean;
}

export interface Normalized {
  readonly y: tf.Tensor4D;
  /** [C]: of the batch. No gradient flows through it. */
  readonly mean: tf.Tensor1D;
  /** [C]: of the batch, with N − 1: what TensorFlow's moving averages take. No gradient flows through it. */
  readonly variance: tf.Tensor1D;
}

/** Every operation in tfjs's own vocabulary: for any backend, and what an engine's replacements are tested against. */
export const plainOps: Ops = {
  convNormRelu(x, weights, beta, { stride, padding, epsilon }) {
    const z = tf.conv2d(x, weights, stride, tfjsPadding(padding)); // [B, H, W, C]
    const { mean, variance } = tf.moments(z, [0, 1, 2]); // [C] biased
    const y = tf.relu(tf.add(tf.mul(tf.sub(z, mean), tf.rsqrt(tf.add(variance, epsilon))), beta));
    const n = z.size / beta.size;
    const unbiased = tf.mul(variance, n / Math.max(n - 1, 1));
    return { y: y as tf.Tensor4D, mean: tf.keep(mean as tf.Tensor1D), variance: tf.keep(unbiased as tf.Tensor1D) };
  },

  convBias(x, weights, biases, { stride, padding, relu }) {
    const z = tf.add(tf.conv2d(x, weights, stride, tfjsPadding(padding)), biases);
    return (relu ? tf.relu(z) : z) as tf.Tensor4D;
  },

  relu: (x) => tf.relu(x),

  product(x, weights, biases) {
    const y = tf.matMul(x, weights);
    return (biases === undefined ? y : tf.add(y, biases)) as tf.Tensor2D;
  },

  lookup: (table, rows) => tf.gather(table, rows),

  lstm(x, kernel, bias) {
    const [, B] = x.shape;
    const U = bias.size / 4;
    let state: LstmState = { c: tf.zeros([B, U]), h: tf.zeros([B, U]) };
    const hs: tf.Tensor2D[] = [];
    for (const xt of tf.unstack(x) as tf.Tensor2D[]) {
      state = lstmStep(plainOps, xt, state, kernel, bias);
      hs.push(state.h);
    }
    return tf.stack(hs) as tf.Tensor3D;
  },

  crossEntropy(logits, labels) {
    const [, V] = logits.shape;
    return tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), tf.oneHot(labels, V)), 1));
  },
};

export interface LstmState {
  /** [B, U] */
  readonly c: tf.Tensor2D;
  /** [B, U] */
  readonly h: tf.Tensor2D;
}

/**
 * One step of im2txt's LSTM (BasicLSTMCell): gates i, j, f, o; 1 is added to f here, not in the stored bias. Unlike the
 * paper's, it has biases and puts out tanh(c) · σ(o), not c · σ(o).
 */
export function lstmStep(
  ops: Pick<Ops, 'product'>,
  x: tf.Tensor2D,
  { c, h }: LstmState,
  kernel: tf.Tensor2D,
  bias: tf.Tensor1D,
): LstmState {
  const gates = ops.product(tf.concat([x, h], 1), kernel, bias); // [B, 4·U]
  const [i, j, f, o] = tf.split(gates, 4, 1) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
  const kept = tf.mul(c, tf.sigmoid(tf.add(f, 1)));
  const next: tf.Tensor2D = tf.add(kept, tf.mul(tf.sigmoid(i), tf.tanh(j))); // [B, U]
  return { c: next, h: tf.mul(tf.tanh(next), tf.sigmoid(o)) };
}

/** tfjs spells the paddings in lower case. */
export function tfjsPadding(padding: Padding): 'same' | 'valid' {
  return padding === 'SAME' ? 'same' : 'valid';
}

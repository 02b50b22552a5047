import * as tf from '@tensorflow/tfjs-core';
import { type ConvLayer, type Interpreter, type Network, walkNetwork } from '@showtell/shared/model/network.js';
import { type EncoderShape, convNames, encoders } from '@showtell/shared/model/parameters.js';
import { type Ops, tfjsPadding } from './ops.js';

/** Parameters by TensorFlow's variable names. */
export type Parameters = Readonly<Record<string, tf.Tensor>>;

/** What the encoder's numbers depend on besides its parameters. */
export interface EncoderModel extends Pick<EncoderShape, 'name' | 'depthMultiplier'> {
  /** Added to variances before their root; slim's 0.001. */
  readonly batchNormEpsilon: number;
}

export interface Encoded {
  /** [B, F]: the last layer, averaged over its positions. */
  readonly features: tf.Tensor2D;
  /** Batch means and unbiased variances by the names of the moving averages they belong to, [C] each; kept. */
  readonly statistics: Readonly<Record<string, tf.Tensor1D>>;
}

/**
 * The encoder in training mode: batch norm by the batch's own statistics, which come out for the moving averages.
 * @param images [B, S, S, 3], −1 to 1
 */
export function encodeTraining(ops: Ops, model: EncoderModel, parameters: Parameters, images: tf.Tensor4D): Encoded {
  const statistics: Record<string, tf.Tensor1D> = {};
  const normalize = (layer: ConvLayer, x: tf.Tensor4D, weights: tf.Tensor4D): tf.Tensor4D => {
    const names = convNames(layer);
    const options = { stride: layer.stride, padding: layer.padding, epsilon: model.batchNormEpsilon };
    const { y, mean, variance } = ops.convNormRelu(x, weights, get(parameters, names.beta), options);
    statistics[names.mean] = mean;
    statistics[names.variance] = variance;
    return y;
  };
  return { features: encode(ops, model, parameters, images, normalize), statistics };
}

/**
 * The encoder in inference mode.
 * @param folded the parameters with batch norm folded in, by `foldBatchNorm`
 * @param images [B, S, S, 3], −1 to 1
 * @returns [B, F]
 */
export function encodeFolded(ops: Ops, model: EncoderModel, folded: Parameters, images: tf.Tensor4D): tf.Tensor2D {
  const addBias = (layer: ConvLayer, x: tf.Tensor4D, weights: tf.Tensor4D): tf.Tensor4D =>
    ops.convBias(x, weights, get(folded, convNames(layer).biases), { ...layer, relu: true });
  return encode(ops, model, folded, images, addBias);
}

type NormalizedConv = (layer: ConvLayer, x: tf.Tensor4D, weights: tf.Tensor4D) => tf.Tensor4D;

function encode(
  ops: Ops,
  model: EncoderModel,
  parameters: Parameters,
  images: tf.Tensor4D,
  normalized: NormalizedConv,
): tf.Tensor2D {
  const last = runNetwork(ops, encoders[model.name], model.depthMultiplier, parameters, images, normalized); // [B, H, W, F]
  const [B, H, W, F] = last.shape;
  return tf.reshape(tf.avgPool(last, [H, W], 1, 'valid'), [B, F]);
}

/**
 * A table's last layer.
 * @param normalized what a convolution with batch norm and ReLU does, which training and inference differ in
 */
export function runNetwork(
  ops: Ops,
  network: Network,
  depthMultiplier: number,
  parameters: Parameters,
  images: tf.Tensor4D,
  normalized: NormalizedConv,
): tf.Tensor4D {
  const layers: Interpreter<tf.Tensor4D> = {
    conv: (layer, x) => {
      const names = convNames(layer);
      const { stride, padding, finish } = layer;
      if (layer.multiplier !== null) {
        const spread = tf.depthwiseConv2d(
          x,
          get<tf.Rank.R4>(parameters, names.depthwise),
          stride,
          tfjsPadding(padding),
        );
        const options = { stride: 1, padding, relu: finish === 'bias-relu' } as const;
        return ops.convBias(spread, get(parameters, names.pointwise), get(parameters, names.biases), options);
      }
      const weights = get<tf.Rank.R4>(parameters, names.weights);
      if (finish === 'batch-norm-relu') return normalized(layer, x, weights);
      return ops.convBias(x, weights, get(parameters, names.biases), { stride, padding, relu: finish === 'bias-relu' });
    },
    pool: ({ kind, size, stride, padding }, x) =>
      (kind === 'max-pool' ? tf.maxPool : tf.avgPool)(x, size, stride, tfjsPadding(padding)),
    concat: (values) => tf.concat(values as tf.Tensor4D[], 3),
    add: (x, branch, scale, relu) => {
      const sum = tf.add(x, tf.mul(branch, scale));
      return (relu ? tf.relu(sum) : sum) as tf.Tensor4D;
    },
  };
  return walkNetwork(network, depthMultiplier, layers, images).value;
}

/** A parameter by name, as the rank its use asks for. */
export function get<R extends tf.Rank>(parameters: Parameters, name: string): tf.Tensor<R> {
  const tensor = parameters[name];
  if (tensor === undefined) throw new RangeError(`the step was given no parameter ${name}`);
  return tensor as tf.Tensor<R>;
}

import * as tf from '@tensorflow/tfjs-core';
import { type ConvLayer, type Interpreter, type Network, walkNetwork } from '@showtell/shared/model/network.js';
import { type EncoderWidth, convNames, networkOf } from '@showtell/shared/model/parameters.js';
import { type Ops, tfjsPadding } from './ops.js';

/** Parameters by TensorFlow's variable names. */
export type Parameters = Readonly<Record<string, tf.Tensor>>;

/** What the encoder's numbers depend on besides its parameters. */
export interface EncoderModel extends EncoderWidth {
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
  const last = runNetwork(ops, networkOf(model), model.depthMultiplier, parameters, images, normalized); // [B, H, W, F]
  const [B, H, W, F] = last.shape;
  return tf.reshape(tf.avgPool(last, [H, W], 1, 'valid'), [B, F]);
}

/** A table's last layer. */
export function runNetwork(
  ops: Ops,
  network: Network,
  depthMultiplier: number,
  parameters: Parameters,
  images: tf.Tensor4D,
  normalized: NormalizedConv,
): tf.Tensor4D {
  return walkNetwork(network, depthMultiplier, tensorLayers(ops, parameters, normalized), images).value;
}

/**
 * What a walk over a table does with tensors.
 * @param normalized what a convolution with batch norm and ReLU does, which training and inference differ in
 */
function tensorLayers(ops: Ops, parameters: Parameters, normalized: NormalizedConv): Interpreter<tf.Tensor4D> {
  return {
    conv: (layer, x) => {
      const names = convNames(layer);
      const { stride, padding, finish, scale } = layer;
      if (layer.multiplier !== null) {
        const depthwise = get<tf.Rank.R4>(parameters, names.depthwise);
        const spread = tf.depthwiseConv2d(x, depthwise, stride, tfjsPadding(padding));
        const options = { stride: 1, padding, relu: finish === 'bias-relu' } as const;
        return ops.convBias(spread, get(parameters, names.pointwise), get(parameters, names.biases), options);
      }
      const weights = get<tf.Rank.R4>(parameters, names.weights);
      if (finish === 'batch-norm-relu') return normalized(layer, x, weights);
      // Weights are fewer than the values they make: scaling them costs less than scaling what comes out.
      const scaled = <T extends tf.Tensor>(values: T): T => (scale === 1 ? values : tf.mul<T>(values, scale));
      const biases = scaled(get<tf.Rank.R1>(parameters, names.biases));
      return ops.convBias(x, scaled(weights), biases, { stride, padding, relu: finish === 'bias-relu' });
    },
    pool: ({ kind, size, stride, padding }, x) =>
      (kind === 'max-pool' ? tf.maxPool : tf.avgPool)(x, size, stride, tfjsPadding(padding)),
    concat: (values) => tf.concat(values as tf.Tensor4D[], 3),
    add: (x, branch, relu) => {
      const sum = tf.add<tf.Tensor4D>(x, branch);
      return relu ? ops.relu(sum) : sum;
    },
  };
}

/** A parameter by name, as the rank its use asks for. */
export function get<R extends tf.Rank>(parameters: Parameters, name: string): tf.Tensor<R> {
  const tensor = parameters[name];
  if (tensor === undefined) throw new RangeError(`the step was given no parameter ${name}`);
  return tensor as tf.Tensor<R>;
}

import { type ConvLayer, walkNetwork } from '@showtell/shared/model/network.js';
import { convNames, networkOf } from '@showtell/shared/model/parameters.js';
import type { EncoderModel } from './encoder.js';

export interface FoldedParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/**
 * The encoder's parameters for inference: each batch norm's moving averages multiplied into its convolution,
 * w' = w / √(variance + ε), bias = β − mean / √(variance + ε), under the names `…/weights` and `…/biases`. Layers that
 * have no batch norm are handed on as they are.
 * @param values a parameter's values by name
 */
export function foldBatchNorm(model: EncoderModel, values: (name: string) => Float32Array): FoldedParameter[] {
  const folded: FoldedParameter[] = [];
  const conv = (layer: ConvLayer): null => {
    const names = convNames(layer);
    const { kernel, inputs, outputs, multiplier } = layer;
    const shape = [...kernel, inputs, outputs];
    if (layer.finish === 'batch-norm-relu') {
      folded.push(...foldLayer(layer, values, model.batchNormEpsilon));
    } else {
      if (multiplier === null) folded.push({ name: names.weights, shape, values: values(names.weights) });
      else {
        const pointwise = [1, 1, inputs * multiplier, outputs];
        folded.push({ name: names.depthwise, shape: [...kernel, inputs, multiplier], values: values(names.depthwise) });
        folded.push({ name: names.pointwise, shape: pointwise, values: values(names.pointwise) });
      }
      folded.push({ name: names.biases, shape: [outputs], values: values(names.biases) });
    }
    return null;
  };
  const nothing = (): null => null;
  walkNetwork<null>(
    networkOf(model),
    model.depthMultiplier,
    { conv, pool: nothing, concat: nothing, add: nothing },
    null,
  );
  return folded;
}

function foldLayer(layer: ConvLayer, values: (name: string) => Float32Array, epsilon: number): FoldedParameter[] {
  const names = convNames(layer);
  const { kernel, inputs, outputs } = layer;
  const [beta, mean, variance] = [values(names.beta), values(names.mean), values(names.variance)];
  const scale = new Float64Array(outputs);
  const biases = new Float32Array(outputs);
  for (let o = 0; o < outputs; o++) {
    scale[o] = 1 / Math.sqrt((variance[o] as number) + epsilon);
    biases[o] = (beta[o] as number) - (mean[o] as number) * (scale[o] as number);
  }
  const weights = values(names.weights);
  const scaled = new Float32Array(weights.length);
  for (let row = 0; row < weights.length; row += outputs)
    for (let o = 0; o < outputs; o++) scaled[row + o] = (weights[row + o] as number) * (scale[o] as number);
  return [
    { name: names.weights, shape: [...kernel, inputs, outputs], values: scaled },
    { name: names.biases, shape: [outputs], values: biases },
  ];
}

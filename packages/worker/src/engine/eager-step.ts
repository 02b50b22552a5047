import * as tf from '@tensorflow/tfjs-core';
import { type EncoderModel, type Parameters, get } from '../model/encoder.js';
import type { Ops } from '../model/ops.js';
import { type Batch, type Loss, showAndTellLoss } from '../model/show-and-tell.js';

export interface GradientStep extends Loss {
  /** By parameter name: of every trained parameter. */
  readonly gradients: Readonly<Record<string, tf.Tensor>>;
}

/**
 * A batch's loss and its gradient by each trained parameter, op by op: what compiled steps are recorded from and tested
 * against. The caller disposes of all the tensors that come out.
 * @param trained names of the parameters to differentiate by; the others stay constant
 */
export function gradientStep(
  ops: Ops,
  model: EncoderModel,
  parameters: Parameters,
  trained: readonly string[],
  batch: Batch,
): GradientStep {
  let result: Loss | undefined;
  const lossOf = (...values: tf.Tensor[]): tf.Scalar => {
    const current = { ...parameters, ...Object.fromEntries(trained.map((name, i) => [name, values[i]])) } as Parameters;
    result = showAndTellLoss(ops, model, current, batch);
    tf.keep(result.lossSum);
    return result.loss;
  };
  const values = trained.map((name) => get(parameters, name));
  const { value: loss, grads } = tf.valueAndGrads(lossOf)(values);
  if (result === undefined) throw new TypeError('tfjs did not evaluate the loss');
  const gradients = Object.fromEntries(trained.map((name, i) => [name, grads[i] as tf.Tensor]));
  return { loss, lossSum: result.lossSum, statistics: result.statistics, gradients };
}

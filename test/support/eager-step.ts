import type * as tfjs from '@tensorflow/tfjs';
import { type Segments, tensorView } from '@showtell/shared/tensors/layout.js';
import { gradientStep } from '@showtell/worker/engine/eager-step.js';
import type { DecoderOnlyBatch, JointBatch } from '@showtell/worker/engine/engine.js';
import { encodeFolded } from '@showtell/worker/model/encoder.js';
import { foldBatchNorm } from '@showtell/worker/model/fold-batch-norm.js';
import type { Ops } from '@showtell/worker/model/ops.js';
import { B, type SmallModel, T } from './small-model.js';
import { tensorflow } from './tensorflow.js';

/** A batch's loss, gradients and statistics, one operation after the other, on TensorFlow. */
export function eagerStep(
  small: SmallModel,
  parameters: Segments,
  batch: JointBatch | DecoderOnlyBatch,
  ops: Ops,
): { lossSum: number; tensors: Map<string, Float32Array> } {
  const { tf } = tensorflow();
  const { specs, layout, model, F } = small;
  const { embedding: E, units: U } = model.decoder;
  const S = model.encoder.imageSize;
  const groups = batch.phase === 'joint' ? ['decoder', 'embedding', 'encoder'] : ['decoder', 'embedding'];
  const tensors = new Map<string, Float32Array>();
  let lossSum = NaN;
  tf.tidy(() => {
    const values = Object.fromEntries(
      specs.map(({ name, shape }) => [name, tf.tensor(tensorView(parameters, layout.entry(name)).slice(), [...shape])]),
    );
    const captions = {
      inputs: tf.tensor2d(batch.inputs, [B, T], 'int32'),
      targets: tf.tensor2d(batch.targets, [B, T], 'int32'),
      mask: tf.tensor2d(batch.mask, [B, T]),
    };
    const dropout = {
      inputs: tf.tensor3d(batch.dropout.inputs, [T + 1, B, E]),
      outputs: tf.tensor3d(batch.dropout.outputs, [T, B, U]),
    };
    const step = gradientStep(
      ops,
      { ...model.encoder },
      values,
      specs.filter(({ group }) => groups.includes(group)).map(({ name }) => name),
      batch.phase === 'joint'
        ? {
            phase: batch.phase,
            captions,
            dropout,
            images: tf.tensor4d(batch.images, [B, S, S, 3]),
            featureDropout: tf.tensor2d(batch.featureDropout, [B, F]),
          }
        : { phase: batch.phase, captions, dropout, features: tf.tensor2d(batch.features, [B, F]) },
    );
    for (const [name, tensor] of Object.entries({ ...step.gradients, ...step.statistics }) as [string, tfjs.Tensor][])
      tensors.set(name, tensor.dataSync<'float32'>());
    lossSum = step.lossSum.dataSync()[0] ?? NaN;
    tf.dispose([step.lossSum, ...Object.values(step.statistics)]);
  });
  return { lossSum, tensors };
}

/** The frozen encoder's features of a batch's pictures, one operation after the other. */
export function eagerFeatures(small: SmallModel, parameters: Segments, images: Float32Array, ops: Ops): Float32Array {
  const { tf } = tensorflow();
  const { layout, model } = small;
  const S = model.encoder.imageSize;
  return tf.tidy(() => {
    const folded = foldBatchNorm(model.encoder, (name) => tensorView(parameters, layout.entry(name)));
    const tensors = Object.fromEntries(
      folded.map(({ name, shape, values }) => [name, tf.tensor(values.slice(), [...shape])]),
    );
    return encodeFolded(ops, model.encoder, tensors, tf.tensor4d(images, [B, S, S, 3])).dataSync<'float32'>();
  });
}

/** Largest difference, as a share of the tensor's largest value. */
export function difference(got: ArrayLike<number>, wanted: Float32Array): number {
  let largest = 0;
  let apart = 0;
  wanted.forEach((value, i) => {
    largest = Math.max(largest, Math.abs(value));
    apart = Math.max(apart, Math.abs(value - (got[i] ?? NaN)));
  });
  return largest === 0 ? apart : apart / largest;
}

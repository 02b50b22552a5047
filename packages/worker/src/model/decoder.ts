import * as tf from '@tensorflow/tfjs-core';
import { decoderNames as names } from '@showtell/shared/model/decoder.js';
import { type Parameters, get } from './encoder.js';
import { type LstmState, type Ops, lstmStep } from './ops.js';

/** The image in the words' embedding space, without a bias: [B, F] → [B, E]. */
export function embedImages(ops: Ops, parameters: Parameters, features: tf.Tensor2D): tf.Tensor2D {
  return ops.product(features, get(parameters, names.imageEmbedding));
}

/** Scores of every word: h [N, U] → [N, V]. */
export function wordLogits(ops: Ops, parameters: Parameters, h: tf.Tensor2D): tf.Tensor2D {
  return ops.product(h, get(parameters, names.logits), get(parameters, names.logitsBias));
}

/** The LSTM's state after it was shown the images as step −1: [B, F] → [B, U] each. */
export function startState(ops: Ops, parameters: Parameters, features: tf.Tensor2D): LstmState {
  const [B] = features.shape;
  const kernel = get<tf.Rank.R2>(parameters, names.kernel);
  const bias = get<tf.Rank.R1>(parameters, names.bias);
  const zeros = tf.zeros<tf.Rank.R2>([B, bias.size / 4]);
  return lstmStep(ops, embedImages(ops, parameters, features), { c: zeros, h: zeros }, kernel, bias);
}

export interface NextWords extends LstmState {
  /** [N, V] */
  readonly probabilities: tf.Tensor2D;
}

/**
 * One step of decoding: what each partial caption's next word may be.
 * @param words [N] int32: the last word of each, as a row of `seq_embedding/map`
 * @param state [N, U] each
 */
export function nextWords(ops: Ops, parameters: Parameters, words: tf.Tensor1D, state: LstmState): NextWords {
  const x = ops.lookup(get(parameters, names.wordEmbedding), words); // [N, E]
  const next = lstmStep(ops, x, state, get(parameters, names.kernel), get(parameters, names.bias)); // [N, U]
  return { ...next, probabilities: tf.softmax(wordLogits(ops, parameters, next.h)) };
}

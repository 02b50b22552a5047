import * as tf from '@tensorflow/tfjs-core';
import { decoderNames as names } from '@showtell/shared/model/decoder.js';
import { embedImages, wordLogits } from './decoder.js';
import { type Encoded, type EncoderModel, type Parameters, encodeTraining, get } from './encoder.js';
import type { Ops } from './ops.js';

/**
 * Show and Tell: A Neural Image Caption Generator (Vinyals, Toshev, Bengio, Erhan, https://arxiv.org/abs/1411.4555),
 * as im2txt trains it: an Inception encoder sees the picture, an LSTM is shown its embedding once, as step −1, and then
 * says the caption a word at a time, each given the true words before it.
 *
 * Letters of shapes: `B` examples, `T` words (padded), `E` embedding, `U` LSTM units, `F` image features, `V` words,
 * `S` image side. Sequences run time first inside, so that a step is a contiguous slice. The functions here take
 * tensors to tensors and read no value back, so a graph can be recorded from them; dropout's draws are fed.
 */
export interface Captions {
  /** [B, T] int32: rows of `seq_embedding/map` for the words that the LSTM reads, from `<S>` on. */
  readonly inputs: tf.Tensor2D;
  /** [B, T] int32: the words it should say, up to `</S>`. */
  readonly targets: tf.Tensor2D;
  /** [B, T] float32: 1 for a word that counts, 0 for padding. */
  readonly mask: tf.Tensor2D;
  /**
   * [P] int32, optional: positions t · B + b whose logits are computed, those that count and any others up to a round
   * number (`caption-positions.ts`); all by default. It saves time and changes no loss.
   */
  readonly positions?: tf.Tensor1D;
}

/** Factors 0 or 1 ÷ keep. */
export interface LstmDropout {
  /** [T + 1, B, E]: of the LSTM's inputs, the image first. */
  readonly inputs: tf.Tensor3D;
  /** [T, B, U]: of its outputs. */
  readonly outputs: tf.Tensor3D;
}

export type Batch =
  | {
      readonly phase: 'decoder-only';
      /** [B, F] */
      readonly features: tf.Tensor2D;
      readonly captions: Captions;
      readonly dropout: LstmDropout;
    }
  | {
      readonly phase: 'joint';
      /** [B, S, S, 3], −1 to 1. */
      readonly images: tf.Tensor4D;
      /** [B, F]: factors 0 or 1 ÷ keep, of the pooled features. */
      readonly featureDropout: tf.Tensor2D;
      readonly captions: Captions;
      readonly dropout: LstmDropout;
    };

export interface Loss {
  /** Scalar: mean over the words that count. Its gradient trains the model; L2 is the parameter server's business. */
  readonly loss: tf.Scalar;
  /** Scalar: sum over the words that count. */
  readonly lossSum: tf.Scalar;
  /** Joint phase: batch statistics by the names of the moving averages; empty otherwise. */
  readonly statistics: Readonly<Record<string, tf.Tensor1D>>;
}

/** A training batch's loss in either phase; at least one word must count. */
export function showAndTellLoss(ops: Ops, model: EncoderModel, parameters: Parameters, batch: Batch): Loss {
  const { captions, dropout } = batch;

  // The picture: features from the encoder being trained, or of a frozen one.
  const { features, statistics } = seePictures(ops, model, parameters, batch); // [B, F]

  // The caption: hidden states at each word, then −log p of the true next word.
  const h = readCaptions(ops, parameters, features, captions.inputs, dropout); // [T, B, U]
  const { losses, weights } = tellWords(ops, parameters, h, captions); // [P], [P]

  const lossSum = tf.sum<tf.Scalar>(tf.mul(losses, weights)); // []
  return { loss: tf.div(lossSum, tf.sum(captions.mask)), lossSum, statistics };
}

/**
 * Losses of captions in inference mode, without dropout: the sum over each example's words, [B].
 * @param features [B, F]
 */
export function captionLosses(
  ops: Ops,
  parameters: Parameters,
  features: tf.Tensor2D,
  captions: Captions,
): tf.Tensor1D {
  const { inputs, targets, mask } = captions;
  const [B, T] = inputs.shape;
  const h = readCaptions(ops, parameters, features, inputs); // [T, B, U]
  const { losses, weights } = tellWords(ops, parameters, h, { inputs, targets, mask }); // [T·B]
  return tf.sum<tf.Tensor1D>(tf.reshape(tf.mul(losses, weights), [T, B]), 0); // [B]
}

function seePictures(ops: Ops, model: EncoderModel, parameters: Parameters, batch: Batch): Encoded {
  if (batch.phase === 'decoder-only') return { features: batch.features, statistics: {} };
  const { features, statistics } = encodeTraining(ops, model, parameters, batch.images); // [B, F]
  return { features: tf.mul(features, batch.featureDropout), statistics };
}

/** The LSTM's outputs at each word of the captions; what it puts out for the picture is not used. */
function readCaptions(
  ops: Ops,
  parameters: Parameters,
  features: tf.Tensor2D,
  inputs: tf.Tensor2D,
  dropout?: LstmDropout,
): tf.Tensor3D {
  const [B, T] = inputs.shape;
  const table = get<tf.Rank.R2>(parameters, names.wordEmbedding);
  const image = embedImages(ops, parameters, features); // [B, E]
  const words = ops.lookup(table, timeFirst(inputs)); // [T·B, E]
  const E = image.shape[1];
  const x = tf.reshape<tf.Rank.R3>(tf.concat([image, words], 0), [T + 1, B, E]); // [T + 1, B, E]

  const dropped = dropout === undefined ? x : tf.mul<tf.Tensor3D>(x, dropout.inputs);
  const outputs = ops.lstm(dropped, get(parameters, names.kernel), get(parameters, names.bias)); // [T + 1, B, U]
  const h = tf.slice(outputs, [1, 0, 0]); // [T, B, U]
  return dropout === undefined ? h : tf.mul<tf.Tensor3D>(h, dropout.outputs);
}

/** Losses and weights of the caption's words, one a position. */
function tellWords(
  ops: Ops,
  parameters: Parameters,
  h: tf.Tensor3D,
  { targets, mask, positions }: Captions,
): { losses: tf.Tensor1D; weights: tf.Tensor1D } {
  const [T, B, U] = h.shape;
  const flat = tf.reshape<tf.Rank.R2>(h, [T * B, U]); // [T·B, U]
  const labels = timeFirst(targets); // [T·B]
  const weights = timeFirst(mask); // [T·B]
  if (positions === undefined) return { losses: ops.crossEntropy(wordLogits(ops, parameters, flat), labels), weights }; // [T·B]
  const logits = wordLogits(ops, parameters, ops.lookup(flat, positions)); // [P, V]
  return { losses: ops.crossEntropy(logits, tf.gather(labels, positions)), weights: tf.gather(weights, positions) }; // [P]
}

/** [B, T] → [T·B], time first. */
function timeFirst(values: tf.Tensor2D): tf.Tensor1D {
  return tf.reshape(tf.transpose(values), [values.size]);
}

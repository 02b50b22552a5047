import type { ParameterSpec } from './parameters.js';

/** im2txt's decoder: sizes of its word and image embeddings, its LSTM and its vocabulary. */
export interface DecoderShape {
  /** E: size of an embedding. */
  readonly embedding: number;
  /** U: LSTM units. */
  readonly units: number;
  /** V: rows of the embedding table and columns of the logits. */
  readonly vocabulary: number;
  /** First values are uniform in ± this. */
  readonly initScale: number;
}

/** Variable names, as in im2txt's checkpoints. */
export const decoderNames = {
  imageEmbedding: 'image_embedding/weights',
  wordEmbedding: 'seq_embedding/map',
  kernel: 'lstm/basic_lstm_cell/kernel',
  bias: 'lstm/basic_lstm_cell/bias',
  logits: 'logits/weights',
  logitsBias: 'logits/biases',
} as const;

/**
 * The decoder's parameters (im2txt, show_and_tell_model.py).
 * @param features F: channels of the pooled image features
 */
export function decoderParameters(shape: DecoderShape, features: number): ParameterSpec[] {
  const { embedding: E, units: U, vocabulary: V, initScale: scale } = shape;
  const uniform = { kind: 'uniform', scale } as const;
  const zeros = { kind: 'zeros' } as const;
  const decoder = { group: 'decoder', l2: false } as const;
  return [
    { name: decoderNames.imageEmbedding, shape: [features, E], initializer: uniform, ...decoder },
    { name: decoderNames.wordEmbedding, shape: [V, E], initializer: uniform, group: 'embedding', l2: false },
    // Rows: the input, then h. Columns: gates i, j, f, o; the forget gate's 1 is added in the operation, not stored.
    { name: decoderNames.kernel, shape: [E + U, 4 * U], initializer: uniform, ...decoder },
    { name: decoderNames.bias, shape: [4 * U], initializer: zeros, ...decoder },
    { name: decoderNames.logits, shape: [U, V], initializer: uniform, ...decoder },
    { name: decoderNames.logitsBias, shape: [V], initializer: zeros, ...decoder },
  ];
}

import { random } from '@showtell/shared/random.js';
import { initializeParameter } from '@showtell/shared/model/initialize.js';
import { featuresOf, parametersOf } from '@showtell/shared/model/parameters.js';
import { allocateSegments, layOut, type Segments, tensorView } from '@showtell/shared/tensors/layout.js';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';
import type {
  DecoderOnlyBatch,
  EngineModel,
  EngineOptions,
  GradientBuffers,
  JointBatch,
  TrainingPhase,
} from '@showtell/worker/engine/engine.js';

/** Inception V3 at an eighth of its channels on small pictures, and a decoder of 40 words. */
export const smallModel: EngineModel = {
  encoder: { name: 'inception_v3', depthMultiplier: 0.125, imageSize: 139, batchNormEpsilon: 0.001 },
  decoder: { embedding: 24, units: 16, vocabulary: 40 },
};

export const smallOptions: EngineOptions = {
  model: smallModel,
  precision: 'float32',
  threads: 1,
  device: 'cpu',
  featureBatch: 4,
  decodeBatch: 6,
};

const shape = {
  encoder: { ...smallModel.encoder, name: 'inception_v3' as const },
  decoder: { ...smallModel.decoder, initScale: 0.08 },
};
export const smallSpecs = parametersOf(shape);
export const smallLayout = layOut(smallSpecs);
export const F = featuresOf(shape.encoder);

/** First values; moving averages as if pictures had been seen, so that inference isn't the identity. */
export function smallParameters(seed = 1): Segments {
  const segments = allocateSegments(smallLayout);
  for (const spec of smallSpecs) {
    const values = initializeParameter(seed, spec, tensorView(segments, smallLayout.entry(spec.name)));
    const stream = random(seed, 'moving', spec.name);
    if (spec.name.endsWith('moving_mean')) stream.fillUniform(values, -0.1, 0.1);
    if (spec.name.endsWith('moving_variance')) stream.fillUniform(values, 0.1, 0.5);
  }
  return segments;
}

export const B = 3;
export const T = 5;

/** Captions of lengths 5, 3 and 2 with dropout, and what the phase sees. */
export function smallBatch(phase: 'joint', seed?: number): JointBatch;
export function smallBatch(phase: 'decoder-only', seed?: number): DecoderOnlyBatch;
export function smallBatch(phase: TrainingPhase, seed = 1): JointBatch | DecoderOnlyBatch {
  const stream = random(seed, 'batch');
  const { embedding: E, units: U, vocabulary: V } = smallModel.decoder;
  const S = smallModel.encoder.imageSize;
  const lengths = [5, 3, 2];
  const counted = (i: number): boolean => i % T < (lengths[Math.floor(i / T)] ?? 0);
  const drop = (size: number): Float32Array => new Float32Array(size).map(() => (stream.float() < 0.7 ? 1 / 0.7 : 0));
  const captions = {
    B,
    T,
    inputs: new Int32Array(B * T).map((_, i) => (counted(i) ? stream.integer(V) : 0)),
    targets: new Int32Array(B * T).map(() => stream.integer(V)),
    mask: new Float32Array(B * T).map((_, i) => (counted(i) ? 1 : 0)),
    dropout: { inputs: drop((T + 1) * B * E), outputs: drop(T * B * U) },
  };
  return phase === 'joint'
    ? {
        ...captions,
        phase,
        images: stream.fillUniform(new Float32Array(B * S * S * 3), -1, 1),
        featureDropout: drop(B * F),
      }
    : { ...captions, phase, features: stream.fillUniform(new Float32Array(B * F), 0, 1) };
}

export function smallGradients(): Required<GradientBuffers> {
  const { decoder, encoder, statistics } = allocateSegments(smallLayout);
  const rows = B * T * smallModel.decoder.embedding;
  return { decoder, encoder, statistics, embeddingRows: new Float32Array(allocateShared(rows * 4), 0, rows) };
}

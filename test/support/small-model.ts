import { random } from '@showtell/shared/random.js';
import { initializeParameter } from '@showtell/shared/model/initialize.js';
import {
  type EncoderShape,
  type ModelShape,
  type ParameterSpec,
  featuresOf,
  parametersOf,
} from '@showtell/shared/model/parameters.js';
import {
  allocateSegments,
  layOut,
  type ParameterLayout,
  type Segments,
  tensorView,
} from '@showtell/shared/tensors/layout.js';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';
import type {
  DecoderOnlyBatch,
  EngineModel,
  EngineOptions,
  GradientBuffers,
  JointBatch,
  TrainingPhase,
} from '@showtell/worker/engine/engine.js';

export const B = 3;
export const T = 5;

/** An encoder on small pictures and a decoder of 40 words: shapes, values and batches of one seed each. */
export class SmallModel {
  readonly model: EngineModel & ModelShape;
  readonly options: EngineOptions;
  readonly specs: readonly ParameterSpec[];
  readonly layout: ParameterLayout;
  /** Channels of the pooled features. */
  readonly F: number;

  constructor(encoder: EncoderShape) {
    this.model = {
      encoder: { ...encoder, batchNormEpsilon: 0.001 },
      decoder: { embedding: 24, units: 16, vocabulary: 40, initScale: 0.08 },
    };
    this.options = {
      model: this.model,
      precision: 'float32',
      threads: 1,
      device: 'cpu',
      featureBatch: 4,
      decodeBatch: 6,
    };
    this.specs = parametersOf(this.model);
    this.layout = layOut(this.specs);
    this.F = featuresOf(this.model.encoder);
  }

  /** First values; moving averages as if pictures had been seen, so that inference isn't the identity. */
  parameters(seed = 1): Segments {
    const segments = allocateSegments(this.layout);
    for (const spec of this.specs) {
      const values = initializeParameter(seed, spec, tensorView(segments, this.layout.entry(spec.name)));
      const stream = random(seed, 'moving', spec.name);
      if (spec.name.endsWith('moving_mean')) stream.fillUniform(values, -0.1, 0.1);
      if (spec.name.endsWith('moving_variance')) stream.fillUniform(values, 0.1, 0.5);
    }
    return segments;
  }

  /** Captions of lengths 5, 3 and 2 with dropout, and what the phase sees. */
  batch(phase: 'joint', seed?: number): JointBatch;
  batch(phase: 'decoder-only', seed?: number): DecoderOnlyBatch;
  batch(phase: TrainingPhase, seed = 1): JointBatch | DecoderOnlyBatch {
    const stream = random(seed, 'batch');
    const { embedding: E, units: U, vocabulary: V } = this.model.decoder;
    const S = this.model.encoder.imageSize;
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
          featureDropout: drop(B * this.F),
        }
      : { ...captions, phase, features: stream.fillUniform(new Float32Array(B * this.F), 0, 1) };
  }

  gradients(): Required<GradientBuffers> {
    const { decoder, encoder, statistics } = allocateSegments(this.layout);
    const rows = B * T * this.model.decoder.embedding;
    return { decoder, encoder, statistics, embeddingRows: new Float32Array(allocateShared(rows * 4), 0, rows) };
  }
}

/** Inception V3 at an eighth of its channels. */
export const small = new SmallModel({ name: 'inception_v3', depthMultiplier: 0.125, imageSize: 139 });
export const { model: smallModel, options: smallOptions, specs: smallSpecs, layout: smallLayout } = small;
export const smallParameters = (seed?: number): Segments => small.parameters(seed);
export const smallBatch: SmallModel['batch'] = small.batch.bind(small);
export const smallGradients = (): Required<GradientBuffers> => small.gradients();

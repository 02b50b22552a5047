import * as tfjs from '@tensorflow/tfjs-core';
import {
  allocateSegments,
  layOut,
  type ParameterLayout,
  type SegmentName,
  type Segments,
  tensorView,
} from '@showtell/shared/tensors/layout.js';
import { decoderNames } from '@showtell/shared/model/decoder.js';
import { type EncoderName, featuresOf, type ParameterSpec, parametersOf } from '@showtell/shared/model/parameters.js';
import { captionPositions } from '../model/caption-positions.js';
import { nextWords, startState } from '../model/decoder.js';
import { encodeFolded, type EncoderModel, type Parameters } from '../model/encoder.js';
import { foldBatchNorm } from '../model/fold-batch-norm.js';
import type { Ops } from '../model/ops.js';
import { type Captions, captionLosses } from '../model/show-and-tell.js';
import { distinctRows } from './distinct-rows.js';
import { gradientStep } from './eager-step.js';
import type {
  CaptionBatch,
  DecodedStep,
  DecoderState,
  Engine,
  EngineFingerprint,
  EngineMemory,
  EngineOptions,
  ExampleLosses,
  GradientBuffers,
  StepResult,
  TrainingBatch,
} from './engine.js';
import type { Computation, Executor, Feed, Values } from './executor.js';

/** Logits are computed for counted words, rounded up to this many, so that graphs are few. */
const positionsMultiple = 32;

/** The model on an executor: which computations the contract's calls are, and how values go in and come out. */
export class ModelEngine implements Engine {
  readonly name: string;
  readonly fingerprint: EngineFingerprint;
  readonly #executor: Executor;
  readonly #options: EngineOptions;
  readonly #ops: Ops;
  readonly #encoder: EncoderModel;
  readonly #specs: readonly ParameterSpec[];
  readonly #layout: ParameterLayout;
  #folded: Folded | undefined;
  #parameters: { readonly segments: Segments; readonly changedAt: Readonly<Record<SegmentName, number>> } | undefined;

  constructor(executor: Executor, options: EngineOptions) {
    const { model } = options;
    const shape = {
      encoder: { ...model.encoder, name: model.encoder.name as EncoderName },
      decoder: { ...model.decoder, initScale: 0 },
    };
    this.#executor = executor;
    this.#options = options;
    this.#ops = executor.ops;
    this.#encoder = shape.encoder;
    this.#specs = parametersOf(shape);
    this.#layout = layOut(this.#specs);
    this.fingerprint = executor.fingerprint;
    this.name = executor.fingerprint.engine;
  }

  async setParameters(segments: Segments, changedAt: Readonly<Record<SegmentName, number>>): Promise<void> {
    this.#parameters = { segments, changedAt: { ...changedAt } };
  }

  async gradientStep(batch: TrainingBatch, into: GradientBuffers): Promise<StepResult> {
    const tokens = batch.mask.reduce((sum, weight) => sum + weight, 0);
    const { words, rows } = distinctRows(batch.inputs);
    if (tokens === 0) {
      for (const values of [into.decoder, into.embeddingRows, into.encoder, into.statistics]) values?.fill(0);
      return { lossSum: 0, tokens, words };
    }
    const { B, T, phase } = batch;
    const positions = phase === 'joint' ? undefined : captionPositions(batch.mask, B, T, positionsMultiple);
    const trained = this.#trainedBy(phase);
    const key = `${phase} ${B}×${T} ${positions?.length ?? 'all'}`;
    const segments: Readonly<Record<SegmentName, Float32Array | undefined>> = {
      decoder: into.decoder,
      embedding: into.embeddingRows,
      encoder: into.encoder,
      statistics: into.statistics,
    };
    const written: Record<string, Float32Array> = {};
    for (const { name, group } of this.#specs) {
      const target = segments[group];
      if (group === 'embedding')
        written[name] = into.embeddingRows.subarray(0, B * T * this.#options.model.decoder.embedding);
      else if (trained.includes(name) || (phase === 'joint' && group === 'statistics')) {
        if (target === undefined) throw new RangeError(`the ${phase} step was given no buffer for ${group}`);
        const { offset, size } = this.#layout.entry(name);
        written[name] = target.subarray(offset, offset + size);
      }
    }
    const computation = this.#stepComputation(key, batch, trained, positions?.length, Object.keys(written));
    const own =
      batch.phase === 'joint'
        ? { images: batch.images, featureDropout: batch.featureDropout }
        : { features: batch.features };
    const inputs = {
      ...this.#values(trained),
      ...own,
      [decoderNames.wordEmbedding]: this.#embeddings(words, B * T),
      'captions/inputs': rows,
      'captions/targets': batch.targets,
      'captions/mask': batch.mask,
      ...(positions === undefined ? {} : { 'captions/positions': positions }),
      'dropout/inputs': batch.dropout.inputs,
      'dropout/outputs': batch.dropout.outputs,
    };
    const { lossSum } = await this.#executor.run(computation, inputs, written);
    return { lossSum: lossSum?.[0] ?? Number.NaN, tokens, words };
  }

  async features(images: Float32Array, n: number): Promise<Float32Array> {
    const { computation, weights } = this.#featureComputation();
    const { featureBatch } = this.#options;
    const F = this.#F();
    const side = this.#options.model.encoder.imageSize;
    const features = new Float32Array(n * F);
    const imageSize = side * side * 3;
    for (let start = 0; start < n; start += featureBatch) {
      const count = Math.min(featureBatch, n - start);
      const some = images.subarray(start * imageSize, (start + count) * imageSize);
      const padded = padTo(some, featureBatch * imageSize);
      const result = await this.#executor.run(computation, { ...weights, images: padded });
      features.set((result['features'] as Float32Array).subarray(0, count * F), start * F);
    }
    return features;
  }

  async evaluate(batch: CaptionBatch & { readonly features: Float32Array }): Promise<ExampleLosses> {
    const { B, T } = batch;
    const { words, rows } = distinctRows(batch.inputs);
    const names = this.#names('decoder');
    const computation = this.#computation(
      `evaluate ${B}×${T}`,
      { ...this.#captionFeeds(B, T), features: feed(B, this.#F()) },
      names,
      B * T,
      ({ parameters, inputs }) => ({
        lossSums: captionLosses(this.#ops, parameters, inputs['features'] as tfjs.Tensor2D, captionsOf(inputs)),
      }),
      { float32: true },
    );
    const result = await this.#executor.run(computation, {
      ...this.#values(names),
      [decoderNames.wordEmbedding]: this.#embeddings(words, B * T),
      features: batch.features,
      'captions/inputs': rows,
      'captions/targets': batch.targets,
      'captions/mask': batch.mask,
    });
    const tokens = Float32Array.from({ length: B }, (_, b) =>
      batch.mask.subarray(b * T, (b + 1) * T).reduce((sum, weight) => sum + weight, 0),
    );
    return { lossSums: result['lossSums'] as Float32Array, tokens };
  }

  async decodeStart(features: Float32Array, n: number): Promise<DecoderState> {
    const N = this.#options.decodeBatch;
    const { units: U } = this.#options.model.decoder;
    const F = this.#F();
    const names = this.#names('decoder').filter((name) => !logitsNames.includes(name));
    const computation = this.#computation(
      'decode start',
      { features: feed(N, F) },
      names,
      0,
      ({ parameters, inputs }) => ({ ...startState(this.#ops, parameters, inputs['features'] as tfjs.Tensor2D) }),
      { float32: true },
    );
    const state = { c: new Float32Array(n * U), h: new Float32Array(n * U) };
    const values = this.#values(names);
    for (let start = 0; start < n; start += N) {
      const count = Math.min(N, n - start);
      const some = padTo(features.subarray(start * F, (start + count) * F), N * F);
      const { c, h } = await this.#executor.run(computation, { ...values, features: some });
      state.c.set((c as Float32Array).subarray(0, count * U), start * U);
      state.h.set((h as Float32Array).subarray(0, count * U), start * U);
    }
    return state;
  }

  async decodeStep(words: Int32Array, state: DecoderState, k: number): Promise<DecodedStep> {
    const N = this.#options.decodeBatch;
    const n = words.length;
    const { units: U } = this.#options.model.decoder;
    const names = this.#names('decoder').filter((name) => name !== decoderNames.imageEmbedding);
    const computation = this.#computation(
      `decode ${k}`,
      { words: { shape: [N], dtype: 'int32' }, c: feed(N, U), h: feed(N, U) },
      names,
      N,
      ({ parameters, inputs }) => {
        const before = { c: inputs['c'] as tfjs.Tensor2D, h: inputs['h'] as tfjs.Tensor2D };
        const next = nextWords(this.#ops, parameters, inputs['words'] as tfjs.Tensor1D, before);
        const { values, indices } = tfjs.topk(next.probabilities, k);
        return { c: next.c, h: next.h, probabilities: values, words: indices };
      },
      { float32: true },
    );
    const values = this.#values(names);
    const step = {
      c: new Float32Array(n * U),
      h: new Float32Array(n * U),
      words: new Int32Array(n * k),
      probabilities: new Float32Array(n * k),
    };
    for (let start = 0; start < n; start += N) {
      const count = Math.min(N, n - start);
      const batch = words.subarray(start, start + count);
      const result = await this.#executor.run(computation, {
        ...values,
        [decoderNames.wordEmbedding]: this.#embeddings(batch, N),
        words: Int32Array.from({ length: N }, (_, i) => (i < count ? i : 0)),
        c: padTo(state.c.subarray(start * U, (start + count) * U), N * U),
        h: padTo(state.h.subarray(start * U, (start + count) * U), N * U),
      });
      step.c.set((result['c'] as Float32Array).subarray(0, count * U), start * U);
      step.h.set((result['h'] as Float32Array).subarray(0, count * U), start * U);
      step.probabilities.set((result['probabilities'] as Float32Array).subarray(0, count * k), start * k);
      step.words.set((result['words'] as Int32Array).subarray(0, count * k), start * k);
    }
    return step;
  }

  async memory(): Promise<EngineMemory> {
    return this.#executor.memory();
  }

  async close(): Promise<void> {
    this.#executor.close();
    this.#folded = undefined;
  }

  #stepComputation(
    key: string,
    batch: TrainingBatch,
    trained: readonly string[],
    positions: number | undefined,
    written: readonly string[],
  ): Computation {
    const { B, T, phase } = batch;
    const { embedding: E, units: U } = this.#options.model.decoder;
    const F = this.#F();
    const S = this.#options.model.encoder.imageSize;
    const feeds: Record<string, Feed> = {
      ...this.#captionFeeds(B, T),
      ...(positions === undefined ? {} : { 'captions/positions': { shape: [positions], dtype: 'int32' } }),
      'dropout/inputs': feed(T + 1, B, E),
      'dropout/outputs': feed(T, B, U),
      ...(phase === 'joint' ? { images: feed(B, S, S, 3), featureDropout: feed(B, F) } : { features: feed(B, F) }),
    };
    return this.#computation(
      key,
      feeds,
      trained,
      B * T,
      ({ parameters, inputs }) => {
        const captions = captionsOf(inputs);
        const dropout = {
          inputs: inputs['dropout/inputs'] as tfjs.Tensor3D,
          outputs: inputs['dropout/outputs'] as tfjs.Tensor3D,
        };
        const { lossSum, gradients, statistics, loss } = gradientStep(
          this.#ops,
          this.#encoder,
          parameters,
          [...trained, decoderNames.wordEmbedding],
          phase === 'joint'
            ? {
                phase,
                captions,
                dropout,
                images: inputs['images'] as tfjs.Tensor4D,
                featureDropout: inputs['featureDropout'] as tfjs.Tensor2D,
              }
            : { phase, captions, dropout, features: inputs['features'] as tfjs.Tensor2D },
        );
        loss.dispose();
        return { lossSum, ...gradients, ...statistics };
      },
      { written },
    );
  }

  /** Parameters are fed, the embedding table as the `rows` distinct rows that a batch reads. */
  #computation(
    key: string,
    feeds: Readonly<Record<string, Feed>>,
    parameterNames: readonly string[],
    rows: number,
    build: (given: Given) => Readonly<Record<string, tfjs.Tensor>>,
    { float32 = false, written = [] }: { readonly float32?: boolean; readonly written?: readonly string[] } = {},
  ): Computation {
    const ofParameters = Object.fromEntries(
      parameterNames.map((name) => [name, feed(...this.#layout.entry(name).shape)]),
    );
    if (rows > 0) ofParameters[decoderNames.wordEmbedding] = feed(rows, this.#options.model.decoder.embedding);
    return {
      key,
      feeds: { ...ofParameters, ...feeds },
      build: (inputs) => {
        const parameters = Object.fromEntries(
          Object.keys(ofParameters).map((name) => [name, inputs[name] as tfjs.Tensor]),
        );
        return build({ parameters, inputs });
      },
      written,
      float32,
    };
  }

  /**
   * The encoder for inference, its batch norm folded in. Its weights are fed, since as constants TensorFlow's optimizers
   * would copy them a dozen times while the graph is compiled, and a new version would need a new graph.
   */
  #featureComputation(): {
    readonly computation: Computation;
    readonly weights: Readonly<Record<string, Float32Array>>;
  } {
    const { segments, changedAt } = this.#held();
    const version = `${changedAt.encoder} ${changedAt.statistics}`;
    if (this.#folded?.version !== version) {
      const folded = foldBatchNorm(this.#encoder, (name) => tensorView(segments, this.#layout.entry(name)));
      const layout = layOut(folded.map(({ name, shape }) => ({ name, shape, group: 'encoder' as const })));
      const memory = this.#folded?.memory ?? allocateSegments(layout).encoder;
      const weights: Record<string, Float32Array> = {};
      for (const { name, values } of folded) {
        const { offset, size } = layout.entry(name);
        weights[name] = memory.subarray(offset, offset + size);
        weights[name].set(values);
      }
      const shapes = folded.map(({ name, shape }) => ({ name, shape }));
      this.#folded = { version, memory, weights, shapes };
    }
    const { weights, shapes } = this.#folded;
    const S = this.#options.model.encoder.imageSize;
    const images = feed(this.#options.featureBatch, S, S, 3);
    const computation: Computation = {
      key: 'features',
      feeds: { ...Object.fromEntries(shapes.map(({ name, shape }) => [name, feed(...shape)])), images },
      build: (inputs) => ({
        features: encodeFolded(this.#ops, this.#encoder, inputs, inputs['images'] as tfjs.Tensor4D),
      }),
      written: [],
      float32: false,
    };
    return { computation, weights };
  }

  #held(): { readonly segments: Segments; readonly changedAt: Readonly<Record<SegmentName, number>> } {
    if (this.#parameters === undefined) throw new TypeError('the engine was given no parameters');
    return this.#parameters;
  }

  #values(names: readonly string[]): Record<string, Values> {
    const { segments } = this.#held();
    return Object.fromEntries(names.map((name) => [name, tensorView(segments, this.#layout.entry(name))]));
  }

  #names(group: SegmentName): string[] {
    return this.#specs.filter((spec) => spec.group === group).map((spec) => spec.name);
  }

  #trainedBy(phase: TrainingBatch['phase']): string[] {
    return [...this.#names('decoder'), ...(phase === 'joint' ? this.#names('encoder') : [])];
  }

  /** Rows of the embedding table, padded with zeros to `count` of them. */
  #embeddings(words: Int32Array, count: number): Float32Array {
    const { embedding } = this.#held().segments;
    const E = this.#options.model.decoder.embedding;
    const rows = new Float32Array(count * E);
    words.forEach((word, i) => {
      rows.set(embedding.subarray(word * E, (word + 1) * E), i * E);
    });
    return rows;
  }

  #captionFeeds(B: number, T: number): Record<string, Feed> {
    return {
      'captions/inputs': { shape: [B, T], dtype: 'int32' },
      'captions/targets': { shape: [B, T], dtype: 'int32' },
      'captions/mask': feed(B, T),
    };
  }

  #F(): number {
    return featuresOf(this.#encoder);
  }
}

/** The encoder's parameters with batch norm folded in. */
interface Folded {
  /** When the segments they come from last changed. */
  readonly version: string;
  readonly memory: Float32Array;
  readonly weights: Readonly<Record<string, Float32Array>>;
  readonly shapes: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

interface Given {
  readonly parameters: Parameters;
  readonly inputs: Readonly<Record<string, tfjs.Tensor>>;
}

const logitsNames: readonly string[] = [decoderNames.logits, decoderNames.logitsBias];

function feed(...shape: number[]): Feed {
  return { shape, dtype: 'float32' };
}

function captionsOf(inputs: Readonly<Record<string, tfjs.Tensor>>): Captions {
  const positions = inputs['captions/positions'] as tfjs.Tensor1D | undefined;
  return {
    inputs: inputs['captions/inputs'] as tfjs.Tensor2D,
    targets: inputs['captions/targets'] as tfjs.Tensor2D,
    mask: inputs['captions/mask'] as tfjs.Tensor2D,
    ...(positions === undefined ? {} : { positions }),
  };
}

function padTo(values: Float32Array, length: number): Float32Array {
  if (values.length === length) return values;
  const padded = new Float32Array(length);
  padded.set(values);
  return padded;
}

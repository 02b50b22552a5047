import type * as tfjs from '@tensorflow/tfjs';
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
import { ShowtellError } from '@showtell/shared/errors.js';
import { captionPositions } from '../../model/caption-positions.js';
import { nextWords, startState } from '../../model/decoder.js';
import { encodeFolded, type EncoderModel, type Parameters } from '../../model/encoder.js';
import { foldBatchNorm } from '../../model/fold-batch-norm.js';
import type { Ops } from '../../model/ops.js';
import { type Captions, captionLosses } from '../../model/show-and-tell.js';
import { gradientStep } from '../eager-step.js';
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
} from '../engine.js';
import type { Tensorflow } from './addon.js';
import { toBfloat16 } from './bfloat16-pass.js';
import { CompiledGraph, type Values } from './compiled-graph.js';
import { distinctRows } from './distinct-rows.js';
import { engineCall } from './engine-call.js';
import { fuseBiases } from './fuse-pass.js';
import { fusedOps } from './fused-ops.js';
import { type Graph, simplify } from './graph.js';
import { canBfloat16, instructionSets } from './instruction-sets.js';
import { type Feed, recordGraph } from './record.js';

/** Logits are computed for counted words, rounded up to this many, so that graphs are few. */
const positionsMultiple = 32;

/** The engine of compiled TensorFlow graphs. Its calls are synchronous underneath: `engine-thread.ts` gives it a thread. */
export class TensorflowEngine implements Engine {
  readonly name = 'tensorflow';
  readonly fingerprint: EngineFingerprint;
  readonly #tensorflow: Tensorflow;
  readonly #options: EngineOptions;
  readonly #ops: Ops;
  readonly #encoder: EncoderModel;
  readonly #specs: readonly ParameterSpec[];
  readonly #layout: ParameterLayout;
  readonly #graphs = new Map<string, CompiledGraph>();
  #folded: Folded | undefined;
  #parameters: { readonly segments: Segments; readonly changedAt: Readonly<Record<SegmentName, number>> } | undefined;

  /** @throws ShowtellError `engine/no-bfloat16` */
  constructor(tensorflow: Tensorflow, options: EngineOptions) {
    const { model } = options;
    const instructions = instructionSets();
    if (options.precision === 'bfloat16' && options.device === 'cpu' && !canBfloat16(instructions))
      throw new ShowtellError('engine/no-bfloat16', { instructions: instructions.join(' ') });
    const shape = {
      encoder: { ...model.encoder, name: model.encoder.name as EncoderName },
      decoder: { ...model.decoder, initScale: 0 },
    };
    this.#tensorflow = tensorflow;
    this.#options = options;
    this.#ops = fusedOps(tensorflow.backend);
    this.#encoder = shape.encoder;
    this.#specs = parametersOf(shape);
    this.#layout = layOut(this.#specs);
    this.fingerprint = {
      engine: this.name,
      version: tensorflow.versions.tensorflow,
      device: options.device,
      instructions,
      threads: options.threads,
      precision: options.precision,
    };
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
    const graph = this.#graph(key, () => this.#recordStep(batch, trained, positions?.length));
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
    const { lossSum } = engineCall(key, () => graph.run(inputs, written));
    return { lossSum: lossSum?.[0] ?? Number.NaN, tokens, words };
  }

  async features(images: Float32Array, n: number): Promise<Float32Array> {
    const { graph, weights } = this.#featureGraph();
    const { featureBatch } = this.#options;
    const F = this.#F();
    const side = this.#options.model.encoder.imageSize;
    const features = new Float32Array(n * F);
    const imageSize = side * side * 3;
    for (let start = 0; start < n; start += featureBatch) {
      const count = Math.min(featureBatch, n - start);
      const some = images.subarray(start * imageSize, (start + count) * imageSize);
      const padded = padTo(some, featureBatch * imageSize);
      const result = engineCall('features', () => graph.run({ ...weights, images: padded }));
      features.set((result['features'] as Float32Array).subarray(0, count * F), start * F);
    }
    return features;
  }

  async evaluate(batch: CaptionBatch & { readonly features: Float32Array }): Promise<ExampleLosses> {
    const { B, T } = batch;
    const { words, rows } = distinctRows(batch.inputs);
    const names = this.#names('decoder');
    const key = `evaluate ${B}×${T}`;
    const graph = this.#graph(
      key,
      () =>
        this.#record(
          { ...this.#captionFeeds(B, T), features: feed(B, this.#F()) },
          names,
          B * T,
          ({ parameters, inputs }) => ({
            lossSums: captionLosses(this.#ops, parameters, inputs['features'] as tfjs.Tensor2D, captionsOf(inputs)),
          }),
        ),
      { float32: true },
    );
    const result = engineCall(key, () =>
      graph.run({
        ...this.#values(names),
        [decoderNames.wordEmbedding]: this.#embeddings(words, B * T),
        features: batch.features,
        'captions/inputs': rows,
        'captions/targets': batch.targets,
        'captions/mask': batch.mask,
      }),
    );
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
    const graph = this.#graph(
      'decode start',
      () =>
        this.#record({ features: feed(N, F) }, names, 0, ({ parameters, inputs }) => {
          const { c, h } = startState(this.#ops, parameters, inputs['features'] as tfjs.Tensor2D);
          return { c, h };
        }),
      { float32: true },
    );
    const state = { c: new Float32Array(n * U), h: new Float32Array(n * U) };
    const values = this.#values(names);
    for (let start = 0; start < n; start += N) {
      const count = Math.min(N, n - start);
      const some = padTo(features.subarray(start * F, (start + count) * F), N * F);
      const { c, h } = engineCall('decode start', () => graph.run({ ...values, features: some }));
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
    const graph = this.#graph(
      `decode ${k}`,
      () =>
        this.#record(
          { words: { shape: [N], dtype: 'int32' }, c: feed(N, U), h: feed(N, U) },
          names,
          N,
          ({ tf, parameters, inputs }) => {
            const before = { c: inputs['c'] as tfjs.Tensor2D, h: inputs['h'] as tfjs.Tensor2D };
            const next = nextWords(this.#ops, parameters, inputs['words'] as tfjs.Tensor1D, before);
            const { values, indices } = tf.topk(next.probabilities, k);
            return { c: next.c, h: next.h, probabilities: values, words: indices };
          },
        ),
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
      const result = engineCall('decode', () =>
        graph.run({
          ...values,
          [decoderNames.wordEmbedding]: this.#embeddings(batch, N),
          words: Int32Array.from({ length: N }, (_, i) => (i < count ? i : 0)),
          c: padTo(state.c.subarray(start * U, (start + count) * U), N * U),
          h: padTo(state.h.subarray(start * U, (start + count) * U), N * U),
        }),
      );
      step.c.set((result['c'] as Float32Array).subarray(0, count * U), start * U);
      step.h.set((result['h'] as Float32Array).subarray(0, count * U), start * U);
      step.probabilities.set((result['probabilities'] as Float32Array).subarray(0, count * k), start * k);
      step.words.set((result['words'] as Int32Array).subarray(0, count * k), start * k);
    }
    return step;
  }

  async memory(): Promise<EngineMemory> {
    return { tensors: this.#tensorflow.binding.getNumOfTensors(), graphs: this.#graphs.size };
  }

  async close(): Promise<void> {
    for (const graph of this.#graphs.values()) graph.close();
    this.#graphs.clear();
    this.#folded = undefined;
  }

  #recordStep(batch: TrainingBatch, trained: readonly string[], positions: number | undefined): Recorded {
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
    return this.#record(feeds, trained, B * T, ({ parameters, inputs }) => {
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
    });
  }

  /** Records with parameters as feeds, the embedding table as the `rows` distinct rows that a batch reads. */
  #record(
    feeds: Readonly<Record<string, Feed>>,
    parameterNames: readonly string[],
    rows: number,
    build: (given: Given) => Readonly<Record<string, tfjs.Tensor>>,
  ): Recorded {
    const { tf } = this.#tensorflow;
    const ofParameters = Object.fromEntries(
      parameterNames.map((name) => [name, feed(...this.#layout.entry(name).shape)]),
    );
    if (rows > 0) ofParameters[decoderNames.wordEmbedding] = feed(rows, this.#options.model.decoder.embedding);
    let fetched: readonly string[] = [];
    const graph = recordGraph(this.#tensorflow, { ...ofParameters, ...feeds }, (inputs) => {
      const parameters = Object.fromEntries(
        Object.keys(ofParameters).map((name) => [name, inputs[name] as tfjs.Tensor]),
      );
      const fetches = build({ tf, parameters, inputs });
      fetched = Object.keys(fetches);
      return fetches;
    });
    return { graph, written: fetched.filter((name) => this.#specs.some((spec) => spec.name === name)) };
  }

  #graph(key: string, record: () => Recorded, options: { readonly float32?: boolean } = {}): CompiledGraph {
    const known = this.#graphs.get(key);
    if (known !== undefined) return known;
    const { graph, written } = record();
    const low = this.#options.precision === 'bfloat16' && options.float32 !== true;
    const lowered = simplify(low ? toBfloat16(graph) : graph);
    const simple = this.#options.device === 'cpu' ? simplify(fuseBiases(lowered)) : lowered;
    const compiled = engineCall(`compiling ${key}`, () => new CompiledGraph(this.#tensorflow, simple, { written }));
    this.#graphs.set(key, compiled);
    return compiled;
  }

  /**
   * The encoder for inference, its batch norm folded in. Its weights are fed, since as constants TensorFlow's optimizers
   * would copy them a dozen times while the graph is compiled, and a new version would need a new graph.
   */
  #featureGraph(): { readonly graph: CompiledGraph; readonly weights: Readonly<Record<string, Float32Array>> } {
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
    const graph = this.#graph('features', () => {
      const feeds = Object.fromEntries(shapes.map(({ name, shape }) => [name, feed(...shape)]));
      const images = feed(this.#options.featureBatch, S, S, 3);
      const recorded = recordGraph(this.#tensorflow, { ...feeds, images }, (inputs) => ({
        features: encodeFolded(this.#ops, this.#encoder, inputs, inputs.images as tfjs.Tensor4D),
      }));
      return { graph: recorded, written: [] };
    });
    return { graph, weights };
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

interface Recorded {
  readonly graph: Graph;
  readonly written: readonly string[];
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
  readonly tf: Tensorflow['tf'];
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

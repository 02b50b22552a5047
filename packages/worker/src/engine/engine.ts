import type { SegmentName, Segments } from '@showtell/shared/tensors/layout.js';

/**
 * What computes: the contract every engine keeps. Letters of shapes: `B` examples, `T` words (padded), `E` embedding,
 * `U` LSTM units, `F` features of an image, `V` words known, `S` side of an image in pixels.
 *
 * An engine's numbers are a function of its arguments, its fingerprint and nothing else: the same call gives the same
 * bits whatever was computed before it.
 */
export interface Engine {
  /** "tensorflow", "webgpu" or "wasm": the job file's `engine.name`. */
  readonly name: string;
  /** All that can change the bits of a result besides its inputs. */
  readonly fingerprint: EngineFingerprint;

  /**
   * Takes the parameters that later calls compute with. The segments are not copied: they must stay unwritten until
   * they are replaced by another call. `changedAt` says when each segment last changed, as the version that names it
   * does; an encoder of the same number is not prepared anew for inference.
   */
  setParameters(parameters: Segments, changedAt: Readonly<Record<SegmentName, number>>): Promise<void>;

  /**
   * One unit's mean loss per word and its gradients, written into `into`. L2 is not in it: the parameter server adds it.
   * @throws ShowtellError `engine/out-of-memory`, `engine/failed`
   */
  gradientStep(batch: TrainingBatch, into: GradientBuffers): Promise<StepResult>;

  /**
   * Features of pictures by the encoder in inference mode, `[n, S, S, 3]` to `[n, F]`. They go through one graph of a
   * fixed batch, padded, so an image's feature doesn't depend on its neighbours or their number.
   */
  features(images: Float32Array, n: number): Promise<Float32Array>;

  /** Losses in inference mode, without dropout. */
  evaluate(batch: CaptionBatch & { readonly features: Float32Array }): Promise<ExampleLosses>;

  /** The LSTM's state after it was shown the images: `[n, F]` to two of `[n, U]`. */
  decodeStart(features: Float32Array, n: number): Promise<DecoderState>;

  /** The next word's `k` likeliest for each of `n` partial captions; among equals the lower id comes first. */
  decodeStep(words: Int32Array, state: DecoderState, k: number): Promise<DecodedStep>;

  memory(): Promise<EngineMemory>;

  /** Gives back sessions and tensors; nothing may be called after it. */
  close(): Promise<void>;
}

export interface EngineFingerprint {
  readonly engine: string;
  /** Of the library that computes, such as TensorFlow's "2.21.0". */
  readonly version: string;
  readonly device: 'cpu' | 'cuda' | 'gpu';
  /** Instruction sets that kernels are chosen by; of a GPU, what names it. None where they make no difference. */
  readonly instructions: readonly string[];
  readonly threads: number;
  readonly precision: Precision;
}

export type Precision = 'float32' | 'bfloat16';

/** Captions of a unit as the decoder reads them, from im2txt's batch_with_dynamic_pad. */
export interface CaptionBatch {
  readonly B: number;
  readonly T: number;
  /** `[B, T]`: words the LSTM reads, from `<S>` on. */
  readonly inputs: Int32Array;
  /** `[B, T]`: words it should say, up to `</S>`. */
  readonly targets: Int32Array;
  /** `[B, T]`: 1 for a word that counts, 0 for padding. */
  readonly mask: Float32Array;
}

interface TrainingCaptions extends CaptionBatch {
  /** Factors 0 or 1 ÷ keep, drawn from the unit's seed. */
  readonly dropout: {
    /** `[T + 1, B, E]`: of the LSTM's inputs, the image first. */
    readonly inputs: Float32Array;
    /** `[T, B, U]`: of its outputs. */
    readonly outputs: Float32Array;
  };
}

export interface DecoderOnlyBatch extends TrainingCaptions {
  readonly phase: 'decoder-only';
  /** `[B, F]` */
  readonly features: Float32Array;
}

export interface JointBatch extends TrainingCaptions {
  readonly phase: 'joint';
  /** `[B, S, S, 3]`, −1 to 1. */
  readonly images: Float32Array;
  /** `[B, F]`: factors 0 or 1 ÷ keep, of the pooled features. */
  readonly featureDropout: Float32Array;
}

export type TrainingBatch = DecoderOnlyBatch | JointBatch;
export type TrainingPhase = TrainingBatch['phase'];

/** Where a gradient goes, in the layout of the parameters; views over shared memory. */
export interface GradientBuffers {
  readonly decoder: Float32Array;
  /** `[B · T, E]`: gradients of the embeddings of the result's `words`, a row each; what lies behind them is undefined. */
  readonly embeddingRows: Float32Array;
  /** Joint phase only. */
  readonly encoder?: Float32Array;
  /** Joint phase only: batch means, and variances with N − 1, in the layout of the moving averages. */
  readonly statistics?: Float32Array;
}

export interface StepResult {
  /** Sum over the words that count. */
  readonly lossSum: number;
  readonly tokens: number;
  /** Rows of `seq_embedding/map` that the batch read, ascending, each once. */
  readonly words: Int32Array;
}

/** `[B]` each. */
export interface ExampleLosses {
  readonly lossSums: Float32Array;
  readonly tokens: Float32Array;
}

/** `[n, U]` each. */
export interface DecoderState {
  readonly c: Float32Array;
  readonly h: Float32Array;
}

export interface DecodedStep extends DecoderState {
  /** `[n, k]`, likeliest first. */
  readonly words: Int32Array;
  /** `[n, k]` */
  readonly probabilities: Float32Array;
}

export interface EngineMemory {
  /** Tensors alive besides parameters and results. */
  readonly tensors: number;
  readonly graphs: number;
}

/** What an engine is made from. */
export interface EngineOptions {
  readonly model: EngineModel;
  readonly precision: Precision;
  /** Threads within an operation. */
  readonly threads: number;
  readonly device: 'cpu' | 'cuda';
  /** Images that go through the inference encoder at a time; part of a feature's key. */
  readonly featureBatch: number;
  /** Partial captions a decode step is padded to; at least beam × images of a search. */
  readonly decodeBatch: number;
}

/** The job file's `model`, as far as the numbers of a step depend on it. */
export interface EngineModel {
  readonly encoder: {
    readonly name: string;
    readonly depthMultiplier: number;
    /** 16 where absent. */
    readonly minDepth?: number;
    readonly imageSize: number;
    readonly batchNormEpsilon: number;
  };
  readonly decoder: { readonly embedding: number; readonly units: number; readonly vocabulary: number };
}

import type * as tfjs from '@tensorflow/tfjs-core';
import type { Ops } from '../model/ops.js';
import type { EngineFingerprint, EngineMemory } from './engine.js';

/** What goes into a computation and comes out of it. */
export type Values = Float32Array | Int32Array;

/** An input's type. */
export interface Feed {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
}

/** One of the model's computations, as tfjs operations on tensors that stand for its inputs. */
export interface Computation {
  /** Names it: of one executor, the same key is always the same computation. */
  readonly key: string;
  readonly feeds: Readonly<Record<string, Feed>>;
  /** Makes the outputs, by name. Must read no value. */
  readonly build: (inputs: Readonly<Record<string, tfjs.Tensor>>) => Readonly<Record<string, tfjs.Tensor>>;
  /** Outputs that go to memory of the caller's, all float32. */
  readonly written: readonly string[];
  /** Whether it is computed in float32 whatever the engine's precision is. */
  readonly float32: boolean;
}

/** How a backend runs computations: what an engine differs from another in. */
export interface Executor {
  readonly fingerprint: EngineFingerprint;
  /** The model's operations as this backend computes them best. */
  readonly ops: Ops;
  /**
   * @param inputs every feed's values
   * @param into where written outputs go, from `allocateShared`
   * @returns the other outputs, in arrays of their own
   * @throws ShowtellError `engine/out-of-memory`, `engine/failed`
   */
  run(
    computation: Computation,
    inputs: Readonly<Record<string, Values>>,
    into?: Readonly<Record<string, Float32Array>>,
  ): Promise<Readonly<Record<string, Values>>>;
  memory(): EngineMemory;
  close(): void;
}

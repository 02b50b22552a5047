import * as tf from '@tensorflow/tfjs-core';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Ops } from '../../model/ops.js';
import type { EngineFingerprint, EngineMemory } from '../engine.js';
import type { Computation, Executor, Values } from '../executor.js';

/** Runs computations one operation after the other on the backend that tfjs has chosen, in this thread. */
export class OpByOpExecutor implements Executor {
  constructor(
    readonly fingerprint: EngineFingerprint,
    readonly ops: Ops,
  ) {}

  async run(
    { key, feeds, build, written }: Computation,
    inputs: Readonly<Record<string, Values>>,
    into: Readonly<Record<string, Float32Array>> = {},
  ): Promise<Readonly<Record<string, Values>>> {
    const engine = tf.engine();
    let outputs: readonly (readonly [string, tf.Tensor])[] = [];
    engine.startScope(key);
    try {
      const tensors = Object.fromEntries(
        Object.entries(feeds).map(([name, { shape, dtype }]) => {
          const values = inputs[name];
          if (values === undefined) throw new RangeError(`no values for ${name}`);
          return [name, tf.tensor(own(values), [...shape], dtype)];
        }),
      );
      outputs = Object.entries(build(tensors)).map(([name, tensor]) => [name, tf.keep(tensor)]);
    } catch (error) {
      throw failure(key, error);
    } finally {
      engine.endScope();
    }
    try {
      const results: Record<string, Values> = {};
      for (const [name, tensor] of outputs) {
        const values = (await tensor.data()) as Values;
        if (!written.includes(name)) results[name] = values.slice();
        else if (into[name] === undefined) throw new RangeError(`no memory for ${name}`);
        else into[name].set(values);
      }
      return results;
    } catch (error) {
      throw failure(key, error);
    } finally {
      for (const [, tensor] of outputs) tensor.dispose();
    }
  }

  memory(): EngineMemory {
    return { tensors: tf.memory().numTensors, graphs: 0 };
  }

  /** Nothing outlives a call; the backend itself ends with its thread. */
  close(): void {}
}

/** tfjs keeps what it is given until it is uploaded; memory shared with other threads may change before. */
function own(values: Values): Values {
  return values.buffer instanceof SharedArrayBuffer ? values.slice() : values;
}

/** Backends throw plain errors, wasm's own kind too; mistakes in a caller's arguments are RangeErrors and TypeErrors. */
function failure(call: string, error: unknown): unknown {
  if (error instanceof ShowtellError || error instanceof RangeError || error instanceof TypeError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  const outOfMemory = /out of memory|OOM|cannot enlarge memory|allocat/i.test(detail);
  return new ShowtellError(outOfMemory ? 'engine/out-of-memory' : 'engine/failed', { call, detail }, { cause: error });
}

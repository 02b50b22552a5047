import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { ShowtellError } from '@showtell/shared/errors.js';
import { plainOps } from '../../model/ops.js';
import type { Engine, EngineOptions } from '../engine.js';
import { ModelEngine } from '../model-engine.js';
import { OpByOpExecutor } from '../tfjs/op-by-op.js';
import { registerWasmKernels } from './kernels.js';

/**
 * Operations, gradients and the backend go through `require`, as the tensorflow engine's parts do: imported otherwise they
 * would bring a second tfjs-core, whose registers are not those of the first.
 */
const require = createRequire(import.meta.url);
let registered = false;

/**
 * The engine of WebAssembly: npm alone, one thread, the same bits on every machine with SIMD in Node's WebAssembly.
 * @throws ShowtellError `engine/failed` when the backend cannot start
 */
export async function openWasmEngine(options: EngineOptions): Promise<Engine> {
  if (!registered) {
    registered = true;
    require('@tensorflow/tfjs');
    require('@tensorflow/tfjs-backend-wasm');
    registerWasmKernels();
  }
  if (!(await tf.setBackend('wasm')))
    throw new ShowtellError('engine/failed', { call: 'starting WebAssembly', detail: 'tfjs gives no reason' });
  const fingerprint = {
    engine: 'wasm',
    version: tf.version_core,
    device: 'cpu',
    instructions: [],
    threads: 1,
    precision: 'float32',
  } as const;
  return new ModelEngine(new OpByOpExecutor(fingerprint, plainOps), options);
}

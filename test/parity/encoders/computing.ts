import { fusedOps } from '@showtell/worker/engine/tensorflow/fused-ops.js';
import { openWasmEngine } from '@showtell/worker/engine/wasm/engine.js';
import { openWebgpuEngine } from '@showtell/worker/engine/webgpu/engine.js';
import { plainOps } from '@showtell/worker/model/ops.js';
import { backends } from '../../support/backends.js';
import { smallOptions } from '../../support/small-model.js';
import { tensorflow } from '../../support/tensorflow.js';
import type { Computing } from './against-slim.js';

/** TensorFlow's fused kernels, which a run computes with. */
export const fused: Computing = {
  ...backends.tensorflow,
  what: 'fused operations',
  open: () => fusedOps(tensorflow().backend),
};

/** tfjs's own operations on TensorFlow. */
export const plain: Computing = {
  ...backends.tensorflow,
  what: 'plain operations',
  open: () => {
    tensorflow();
    return plainOps;
  },
};

/** What the engine of any model makes tfjs's backend, stays it. */
export const wasm: Computing = {
  ...backends.wasm,
  what: 'WebAssembly',
  open: async () => {
    await openWasmEngine(smallOptions);
    return plainOps;
  },
};

export const webgpu: Computing = {
  ...backends.webgpu,
  what: 'WebGPU',
  isSlow: true,
  open: async () => {
    await openWebgpuEngine(smallOptions);
    return plainOps;
  },
};

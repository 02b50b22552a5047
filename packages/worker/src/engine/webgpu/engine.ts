import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { ShowtellError } from '@showtell/shared/errors.js';
import { plainOps } from '../../model/ops.js';
import type { Engine, EngineOptions } from '../engine.js';
import { ModelEngine } from '../model-engine.js';
import { averagePoolGradient, composeKernel, segmentSum } from '../tfjs/kernels.js';
import { OpByOpExecutor } from '../tfjs/op-by-op.js';
import { openAdapter } from './adapter.js';

/** Of tfjs's choices for a product: 32 × 32 tiles, each summed in order. Its others include atomic additions. */
const packedProduct = 3;

/**
 * Operations, gradients and the backend go through `require`, as the tensorflow engine's parts do: imported otherwise they
 * would bring a second tfjs-core, whose registers are not those of the first.
 */
const require = createRequire(import.meta.url);
let registered = false;

/**
 * The engine of WebGPU by Dawn: any GPU with Vulkan, Metal or Direct3D 12, from npm alone.
 * @throws ShowtellError `engine/no-adapter`
 */
export async function openWebgpuEngine(options: EngineOptions): Promise<Engine> {
  const adapter = await openAdapter();
  if (adapter === null) throw new ShowtellError('engine/no-adapter', { detail: 'WebGPU finds none' });
  if (!registered) {
    registered = true;
    require('@tensorflow/tfjs');
    require('@tensorflow/tfjs-backend-webgpu');
    tf.env().set('WEBGPU_MATMUL_PROGRAM_TYPE', packedProduct);
    tf.env().set('WEBGPU_CPU_FORWARD', false);
    composeKernel('webgpu', 'UnsortedSegmentSum', () => segmentSum);
    composeKernel('webgpu', 'AvgPoolGrad', averagePoolGradient);
  }
  if (!(await tf.setBackend('webgpu')))
    throw new ShowtellError('engine/failed', {
      call: 'starting WebGPU',
      detail: `tfjs refuses ${adapter.description}`,
    });
  const fingerprint = {
    engine: 'webgpu',
    version: tf.version_core,
    device: 'gpu',
    instructions: [adapter.vendor, adapter.architecture, adapter.description],
    threads: 1,
    precision: 'float32',
  } as const;
  return new ModelEngine(new OpByOpExecutor(fingerprint, plainOps), options);
}

import type { Gpu } from '@showtell/shared/set-up/gpus.js';

/**
 * The environment of a process that computes on one GPU: no other is visible to it, memory is taken as needed (workers
 * may share a GPU), and kernels are chosen the same way each time.
 */
export function cudaEnvironment(device: number): Record<string, string> {
  return {
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    CUDA_VISIBLE_DEVICES: String(device),
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    TF_DETERMINISTIC_OPS: '1',
    TF_CUDNN_USE_AUTOTUNE: '0',
  };
}

/** One GPU a worker, in turn. `gpus` must not be empty. */
export function gpuOfWorker(worker: number, gpus: readonly Gpu[]): number {
  const gpu = gpus[worker % gpus.length];
  if (gpu === undefined) throw new RangeError('no GPU to choose from');
  return gpu.index;
}

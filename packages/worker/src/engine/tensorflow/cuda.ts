import { findOnPath, runCommand } from '@showtell/shared/set-up/command.js';

export interface Gpu {
  readonly index: number;
  readonly name: string;
  readonly memoryMiB: number;
  readonly driver: string;
}

/** The machine's NVIDIA GPUs by `nvidia-smi`; none where it is absent or fails. */
export async function listGpus(): Promise<readonly Gpu[]> {
  const program = await findOnPath('nvidia-smi');
  if (program === undefined) return [];
  const query = ['--query-gpu=index,name,memory.total,driver_version', '--format=csv,noheader,nounits'];
  const result = await runCommand(program, query, { milliseconds: 20_000 });
  return result.status === 0 ? parseGpus(result.stdout) : [];
}

export function parseGpus(csv: string): readonly Gpu[] {
  return csv
    .split('\n')
    .map((line) => line.split(',').map((field) => field.trim()))
    .filter((fields) => fields.length >= 4)
    .map(([index, name, memory, driver]) => ({
      index: Number(index),
      name: name ?? '',
      memoryMiB: Number(memory),
      driver: driver ?? '',
    }));
}

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

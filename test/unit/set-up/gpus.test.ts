import { expect, it } from 'vitest';
import { parseGpus } from '@showtell/shared/set-up/gpus.js';
import { cudaEnvironment, gpuOfWorker } from '@showtell/worker/engine/tensorflow/cuda.js';

const two = '0, NVIDIA H100 80GB HBM3, 81559, 550.90.07\n1, NVIDIA H100 80GB HBM3, 81559, 550.90.07\n';

it("reads nvidia-smi's table", () => {
  expect(parseGpus(two)).toEqual([
    { index: 0, name: 'NVIDIA H100 80GB HBM3', memoryMiB: 81_559, driver: '550.90.07' },
    { index: 1, name: 'NVIDIA H100 80GB HBM3', memoryMiB: 81_559, driver: '550.90.07' },
  ]);
  expect(parseGpus('No devices were found\n')).toEqual([]);
});

it('gives each worker one GPU in turn, with memory taken as needed', () => {
  const gpus = parseGpus(two);
  expect([0, 1, 2].map((worker) => gpuOfWorker(worker, gpus))).toEqual([0, 1, 0]);
  expect(() => gpuOfWorker(0, [])).toThrow(RangeError);
  expect(cudaEnvironment(1)).toMatchObject({ CUDA_VISIBLE_DEVICES: '1', TF_FORCE_GPU_ALLOW_GROWTH: 'true' });
});

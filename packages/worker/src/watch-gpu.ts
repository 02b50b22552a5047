import { findOnPath, runCommand } from '@showtell/shared/set-up/command.js';
import type { WorkerMetrics } from './metrics.js';

/** As often as Prometheus usually asks: a look starts a process. */
const lookMs = 15_000;
const mebibyte = 2 ** 20;

/** One GPU as nvidia-smi sees it. */
export interface GpuLoad {
  readonly uuid: string;
  readonly usedBytes: number;
  readonly sizeBytes: number;
  /** From 0 to 1; null where the driver does not tell, as of a slice of a GPU (MIG). */
  readonly utilisation: number | null;
}

/**
 * Looks now and then how busy the worker's GPU is.
 *
 * @param device the GPU as `CUDA_VISIBLE_DEVICES` names it: index by PCI bus, or UUID
 */
export function watchGpu(
  device: string,
  series: Pick<WorkerMetrics['series'], 'gpuMemory' | 'gpuMemorySize' | 'gpuUtilisation'>,
): Disposable {
  let isOver = false;
  const look = async (): Promise<void> => {
    const [gpu] = await loadOf(device);
    if (gpu === undefined || isOver) return;
    series.gpuMemory.set({ gpu: gpu.uuid }, gpu.usedBytes);
    series.gpuMemorySize.set({ gpu: gpu.uuid }, gpu.sizeBytes);
    if (gpu.utilisation !== null) series.gpuUtilisation.set({ gpu: gpu.uuid }, gpu.utilisation);
  };
  void look();
  const timer = setInterval(() => void look(), lookMs);
  timer.unref();
  return {
    [Symbol.dispose]: () => {
      isOver = true;
      clearInterval(timer);
    },
  };
}

/** None where nvidia-smi is absent or fails: the run does not need it. */
async function loadOf(device: string): Promise<GpuLoad[]> {
  const program = await findOnPath('nvidia-smi');
  if (program === undefined) return [];
  const query = `--query-gpu=uuid,memory.used,memory.total,utilization.gpu`;
  const args = [query, '--format=csv,noheader,nounits', `--id=${device}`];
  const { status, stdout } = await runCommand(program, args, { milliseconds: 10_000 });
  return status === 0 ? parseGpuLoad(stdout) : [];
}

/** @param csv nvidia-smi's answer: uuid, MiB in use, MiB in all, percent */
export function parseGpuLoad(csv: string): GpuLoad[] {
  return csv
    .split('\n')
    .map((line) => line.split(',').map((field) => field.trim()))
    .filter((fields) => fields.length === 4)
    .map(([uuid = '', used, size, percent]) => ({
      uuid,
      usedBytes: Number(used) * mebibyte,
      sizeBytes: Number(size) * mebibyte,
      utilisation: Number.isFinite(Number(percent)) ? Number(percent) / 100 : null,
    }))
    .filter(({ usedBytes, sizeBytes }) => Number.isFinite(usedBytes) && Number.isFinite(sizeBytes));
}

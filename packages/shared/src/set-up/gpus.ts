import { findOnPath, runCommand } from './command.js';

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

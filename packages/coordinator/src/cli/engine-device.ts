import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Job } from '@showtell/shared/job/job.js';
import type { EngineAsked } from './engine-option.js';
import type { Device } from './engine-notes.js';

/** What a checkpoint is computed on: its job's device, unless another engine than TensorFlow is asked for. */
export function deviceOfCheckpoint(folder: string, asked: EngineAsked | undefined): Device {
  if (asked === 'webgpu' || asked === 'wasm') return 'cpu';
  return deviceIn(() => JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as { job?: unknown });
}

/** What a worker computes on, by its own options: the job is the run's or a file. */
export async function deviceOfWorker(args: readonly string[]): Promise<Device> {
  const options = { run: { type: 'string' }, job: { type: 'string' } } as const;
  const { run, job } = parseArgs({ args: [...args], options, strict: false }).values;
  if (typeof run === 'string')
    return deviceIn(() => ({ job: JSON.parse(readFileSync(join(run, 'job.json'), 'utf8')) as unknown }));
  if (typeof job !== 'string') return 'cpu';
  const { parse } = await import('yaml');
  return deviceIn(() => ({ job: parse(readFileSync(job, 'utf8')) as unknown }));
}

/** Whatever is wrong with the file, the process that reads it in earnest tells. */
function deviceIn(read: () => { readonly job?: unknown }): Device {
  try {
    const { engine } = read().job as { engine?: Partial<Job['engine']> };
    return engine?.device === 'cuda' ? 'cuda' : 'cpu';
  } catch {
    return 'cpu';
  }
}

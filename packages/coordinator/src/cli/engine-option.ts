import { Option } from 'commander';
import { engineNames } from '@showtell/shared/job/engine-names.js';
import type { Job } from '@showtell/shared/job/job.js';

export type EngineAsked = Job['engine']['name'] | 'auto';

/** `--engine`, of every command that computes. */
export function engineOption(usual: string): Option {
  const text = `what computes: tensorflow, a GPU by webgpu, wasm, or auto for the fastest here (default: ${usual})`;
  return new Option('--engine <name>', text).choices(['auto', ...engineNames]);
}

/**
 * The overrides of a job that make it compute on the engine asked for. `auto` sets TensorFlow up where that can be done,
 * and tells on standard error what it took and why: a run's identity names the engine, and never "auto".
 * @throws ShowtellError `engine/*`, `setup/*` where the job needs TensorFlow and it cannot be had
 */
export async function engineOverrides(asked: EngineAsked, { engine }: Pick<Job, 'engine'>): Promise<string[]> {
  if (asked !== 'auto') return [`engine.name=${asked}`];
  const needs = engine.device === 'cuda' ? 'engine.device: cuda' : engine.precision === 'bfloat16' ? 'bfloat16' : null;
  if (needs !== null) {
    process.stderr.write(`engine tensorflow: the job asks for ${needs}\n`);
    return ['engine.name=tensorflow'];
  }
  const { setUpEngine } = await import('./set-up.js');
  const { engine: kind, reason = '' } = await setUpEngine('auto');
  const name = kind === 'cpu' ? 'tensorflow' : kind;
  process.stderr.write(`engine ${name}: ${reason}\n`);
  return [`engine.name=${name}`];
}

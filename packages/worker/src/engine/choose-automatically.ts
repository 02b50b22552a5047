import { existsSync } from 'node:fs';
import type { EngineName } from '@showtell/shared/job/job.js';
import { engineFolder } from './tensorflow/engine-folder.js';
import { openAdapter } from './webgpu/adapter.js';

/** An engine and why it is this one, in words that go on after "engine wasm: ". */
export interface AutomaticChoice {
  readonly name: EngineName;
  readonly reason: string;
}

/**
 * The fastest engine this machine has: TensorFlow, else a GPU by WebGPU, else WebAssembly.
 * @param tensorflow tells why there is no TensorFlow; null: it is there
 */
export async function chooseAutomatically(
  tensorflow: () => Promise<string | null> = whyNotSetUp,
): Promise<AutomaticChoice> {
  const lacking = await tensorflow();
  if (lacking === null) return { name: 'tensorflow', reason: 'it is set up, and the fastest on a processor' };
  const gpu = await findGpu();
  if ('name' in gpu) return { name: 'webgpu', reason: `it computes on ${gpu.name}; not tensorflow: ${lacking}` };
  return {
    name: 'wasm',
    reason: `npm brought it; not webgpu: ${gpu.lacking}; not tensorflow, the faster one: ${lacking}`,
  };
}

async function whyNotSetUp(): Promise<string | null> {
  return existsSync(engineFolder('cpu').addon) ? null : 'it is not set up (npx showtell engine setup)';
}

/** Drivers that stand in for a GPU on the processor, slower than WebAssembly there. */
const software = /swiftshader|llvmpipe|lavapipe|basic render/i;

/** The GPU that the webgpu engine would compute on, or why it would on none. */
export async function findGpu(): Promise<{ readonly name: string } | { readonly lacking: string }> {
  const adapter = await openAdapter();
  if (adapter === null) return { lacking: 'it finds no GPU with a driver' };
  const name = adapter.description || `${adapter.vendor} ${adapter.architecture}`;
  return software.test(`${name} ${adapter.architecture}`) ? { lacking: `${name} is software` } : { name };
}

import { existsSync } from 'node:fs';
import type { EngineName } from '@showtell/shared/job/engine-names.js';
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
  if (gpu !== null && !gpu.isSoftware)
    return { name: 'webgpu', reason: `it computes on ${gpu.name}; not tensorflow: ${lacking}` };
  const noGpu = gpu === null ? 'it finds no GPU with a driver' : `${gpu.name} is software`;
  return { name: 'wasm', reason: `npm brought it; not webgpu: ${noGpu}; not tensorflow, the faster one: ${lacking}` };
}

async function whyNotSetUp(): Promise<string | null> {
  return existsSync(engineFolder('cpu').addon) ? null : 'it is not set up (npx showtell engine setup)';
}

export interface FoundGpu {
  readonly name: string;
  /** Whether the processor stands in for a GPU, slower than WebAssembly is there: `auto` passes it over. */
  readonly isSoftware: boolean;
}

const software = /swiftshader|llvmpipe|lavapipe|basic render/i;

/** What the webgpu engine would compute on; null: it has nothing. */
export async function findGpu(): Promise<FoundGpu | null> {
  const adapter = await openAdapter();
  if (adapter === null) return null;
  const name = adapter.description || `${adapter.vendor} ${adapter.architecture}`;
  return { name, isSoftware: software.test(`${name} ${adapter.architecture}`) };
}

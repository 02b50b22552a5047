import type { Job } from '@showtell/shared/job/job.js';
import type { Engine, EngineOptions } from './engine.js';
import type { EngineName } from '@showtell/shared/job/engine-names.js';
import { loadTensorflow, setEngineEnvironment, type TensorflowOptions } from './tensorflow/addon.js';

export interface EngineChoice {
  readonly name: EngineName;
  readonly options: EngineOptions;
  /** For the log: why this one. */
  readonly reason: string;
}

/** Images a feature graph takes at a time: part of a feature's identity, so no field of the job changes it. */
const featureBatch = 8;

/** The engine that a job runs on: what it names, never another one in its place. */
export function chooseEngine(job: Pick<Job, 'engine' | 'model' | 'evaluation'>): EngineChoice {
  const { name, device, threads, precision } = job.engine;
  const { encoder, decoder } = job.model;
  return {
    name,
    options: {
      model: { encoder, decoder },
      precision,
      threads,
      device,
      featureBatch,
      decodeBatch: featureBatch * job.evaluation.beam,
    },
    reason:
      name === 'tensorflow'
        ? `the job names ${name} on ${device}, ${precision}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`
        : `the job names ${name}`,
  };
}

/** Sets what native libraries read from the process's environment; on the main thread, before an engine's thread starts. */
export function prepareEngine({ name, options }: Pick<EngineChoice, 'name' | 'options'>): void {
  if (name === 'tensorflow') setEngineEnvironment(tensorflowOptions(options));
}

/**
 * Opens an engine in this thread. Its calls block the thread while they compute: a worker opens it by `EngineThread`.
 * @throws ShowtellError `engine/not-set-up`, `engine/no-gpu`, `engine/no-adapter`, `engine/environment-too-late`
 */
export async function openEngine(name: EngineName, options: EngineOptions): Promise<Engine> {
  switch (name) {
    case 'tensorflow': {
      const { tensorflowEngine } = await import('./tensorflow/engine.js');
      return tensorflowEngine(loadTensorflow(tensorflowOptions(options)), options);
    }
    case 'webgpu':
      return (await import('./webgpu/engine.js')).openWebgpuEngine(options);
    case 'wasm':
      return (await import('./wasm/engine.js')).openWasmEngine(options);
    default:
      name satisfies never;
      throw new RangeError(`there is no engine named ${String(name)}`);
  }
}

function tensorflowOptions({ threads, device }: EngineOptions): TensorflowOptions {
  return { threads, ...(device === 'cuda' ? { cuda: { device: 0 } } : {}) };
}

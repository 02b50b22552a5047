import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import type * as tfjs from '@tensorflow/tfjs';
import type { NodeJSKernelBackend } from '#tfjs-node/nodejs_kernel_backend.js';
import type { TFJSBinding } from '#tfjs-node/tfjs_binding.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { cudaEnvironment } from './cuda.js';
import { engineFolder } from './engine-folder.js';
import type { EngineKind } from './wheels.js';

export type TensorflowModule = typeof tfjs;

export interface TensorflowOptions {
  /** Intra-op threads: part of the job, since results depend on the count. */
  readonly threads: number;
  /** Threads that run independent operations of a compiled graph side by side; 1 by default. Results don't depend on it. */
  readonly interOpThreads?: number;
  /** The GPU to use, by its index on this machine; absent: the CPU. */
  readonly cuda?: { readonly device: number };
}

export interface Tensorflow {
  /** tfjs, its `tensorflow` backend registered and chosen. */
  readonly tf: TensorflowModule;
  readonly backend: NodeJSKernelBackend;
  /** The addon's own calls, read-only. */
  readonly binding: TFJSBinding;
  readonly versions: { readonly tensorflow: string; readonly tfjs: string; readonly engine: EngineKind };
}

const require = createRequire(import.meta.url);

/**
 * Of glibc's dlopen. When a thread ends, Node closes what it loaded; TensorFlow's own threads live on and would run
 * into unmapped code.
 */
export const RTLD_NODELETE = 0x1000;

/** This thread's engine: an addon cannot be opened twice in one. */
let loaded: ReturnType<typeof openAddon> | undefined;

/**
 * Sets what TensorFlow reads from the process's environment when it is loaded. To be called on the main thread before
 * an engine's thread is started, unless that is started with `env: SHARE_ENV`.
 */
export function setEngineEnvironment(options: TensorflowOptions): void {
  // Warnings of the GPU's set-up say why it cannot be used; those of a processor, nothing.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= options.cuda === undefined ? '2' : '1';
  // TensorFlow turns oneDNN's kernels on by itself only where the processor has AVX512-VNNI; they are the faster ones
  // with AVX2 too, by up to a half.
  process.env['TF_ENABLE_ONEDNN_OPTS'] ??= '1';
  Object.assign(process.env, engineEnvironment(options));
}

/**
 * Loads the engine that `showtell engine setup` built, once a thread, and registers it with tfjs; main thread and
 * worker threads alike. One process has one thread count, that of its first load. Takes about 0.7 s. Throws `engine/not-set-up`, `engine/no-gpu`, `engine/environment-too-late`.
 */
export function loadTensorflow(options: TensorflowOptions): Tensorflow {
  const kind: EngineKind = options.cuda === undefined ? 'cpu' : 'cuda';
  const folder = engineFolder(kind);
  if (!existsSync(folder.addon)) {
    const command = `npx showtell engine setup${kind === 'cuda' ? ' --engine cuda' : ''}`;
    throw new ShowtellError('engine/not-set-up', { folder: folder.addonFolder, command });
  }
  setEngineEnvironment(options);
  checkEnvironmentReaches(engineEnvironment(options));
  loaded ??= openAddon(folder.addon);
  const opened = loaded;
  if (kind === 'cuda' && !opened.backend.isUsingGpuDevice) {
    throw new ShowtellError('engine/no-gpu', {
      detail: 'TensorFlow sees none (its messages on standard error say why)',
    });
  }
  return { ...opened, versions: { ...opened.versions, engine: kind } };
}

/** The engine from an addon's path, in whatever environment the process has. */
export function openAddon(
  addon: string,
): Omit<Tensorflow, 'versions'> & { versions: { tensorflow: string; tfjs: string } } {
  restoreUtil();
  const holder: { exports: unknown } = { exports: {} };
  process.dlopen(holder, addon, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  const binding = holder.exports as TFJSBinding;
  // tfjs-node's own entry looks for the addon inside node_modules; its parts do not.
  const tf = require('@tensorflow/tfjs') as TensorflowModule;
  const { NodeJSKernelBackend: Backend } = require('#tfjs-node/nodejs_kernel_backend.js') as {
    NodeJSKernelBackend: typeof NodeJSKernelBackend;
  };
  require('#tfjs-node/register_all_kernels.js');
  const backend = new Backend(binding, '@tensorflow/tfjs-node-gpu');
  tf.registerBackend('tensorflow', () => backend, 3);
  void tf.setBackend('tensorflow');
  return { tf, backend, binding, versions: { tensorflow: binding.TF_Version, tfjs: tf.version.tfjs } };
}

function engineEnvironment(options: TensorflowOptions): Record<string, string> {
  return {
    TF_NUM_INTRAOP_THREADS: String(options.threads),
    TF_NUM_INTEROP_THREADS: String(options.interOpThreads ?? 1),
    ...(options.cuda === undefined ? {} : cudaEnvironment(options.cuda.device)),
  };
}

/** In a worker thread `process.env` is a copy unless shared, and the C library sees the process's own. */
function checkEnvironmentReaches(wanted: Record<string, string>): void {
  if (isMainThread) return;
  Object.assign(process.report, { excludeNetwork: true });
  const report = process.report.getReport() as { environmentVariables: Record<string, string> };
  const unlike = Object.keys(wanted).filter((name) => report.environmentVariables[name] !== wanted[name]);
  if (unlike.length > 0) throw new ShowtellError('engine/environment-too-late', { variables: unlike.join(', ') });
}

/** tfjs-node 4.22 calls two functions of `util` that Node 22 warns of and Node 23 took out. */
function restoreUtil(): void {
  const util = require('node:util') as Record<string, unknown>;
  util['isNullOrUndefined'] = (value: unknown) => value === null || value === undefined;
  util['isArray'] = Array.isArray;
}

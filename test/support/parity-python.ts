import { spawnSync } from 'node:child_process';
import { findPython, type PythonEnvironment, pythonOf } from './python-environment.js';

const quiet = {
  TF_CPP_MIN_LOG_LEVEL: '3',
  TF_NUM_INTRAOP_THREADS: '1',
  TF_NUM_INTEROP_THREADS: '1',
  CUDA_VISIBLE_DEVICES: '',
};

/** The versions that made the committed numbers; Python 3.11 is the last one they install on. */
const pinned: PythonEnvironment = {
  name: 'tensorflow-2.15.1',
  packages: ['tensorflow-cpu==2.15.1', 'tf_slim==1.1.0', 'numpy<2'],
};
/** For a later Python, on which TF-Slim 1.1.0 does not work: ask by `pythonWith` what is needed besides TensorFlow. */
const current: PythonEnvironment = { name: 'tensorflow-2.21.0', packages: ['tensorflow-cpu==2.21.0'] };

/**
 * A Python with TensorFlow, for tests that hold showtell against the original: the one that `SHOWTELL_PARITY_PYTHON`
 * names, else one made in the cache folder on first use (a minute or two, by network). With a Python 3.9 to 3.11 on
 * PATH it has TensorFlow 2.15.1 and TF-Slim 1.1.0, else TensorFlow 2.21.0 alone.
 * @returns null where there is none, and none can be made: skip, and name TensorFlow in the test's name
 */
export async function tensorflowPython(): Promise<string | null> {
  if (process.env['SHOWTELL_PARITY_PYTHON'] !== undefined) return pythonWith('tensorflow');
  const old = await findPython([11, 10, 9]);
  if (old !== null) return pythonOf({ ...pinned, name: `${pinned.name}-python3.${old.minor}` }, old.python);
  const later = await findPython([12, 13]);
  return later === null ? null : pythonOf({ ...current, name: `${current.name}-python3.${later.minor}` }, later.python);
}

/**
 * As {@link tensorflowPython}, with TF-Slim besides, in versions that work with each other.
 * @returns null where there is none
 */
export async function slimPython(): Promise<string | null> {
  const python = await tensorflowPython();
  return python === null ? null : pythonWith('tf_slim', python);
}

/**
 * A Python that can import a module: `python`, else the one that `SHOWTELL_PARITY_PYTHON` names, else python3; null
 * when it can't.
 */
function pythonWith(module: string, python = process.env['SHOWTELL_PARITY_PYTHON'] ?? 'python3'): string | null {
  const code = `import importlib.util, sys; sys.exit(importlib.util.find_spec(${JSON.stringify(module)}) is None)`;
  return spawnSync(python, ['-c', code]).status === 0 ? python : null;
}

/** Runs a script and returns its stdout. */
export function runPython(python: string, script: string, ...args: string[]): string {
  const done = spawnSync(python, [script, ...args], { encoding: 'utf8', env: { ...process.env, ...quiet } });
  if (done.status !== 0) throw new Error(`${script} ended with ${done.status ?? 'a signal'}:\n${done.stderr}`);
  return done.stdout;
}

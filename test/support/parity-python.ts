import { spawnSync } from 'node:child_process';

const quiet = {
  TF_CPP_MIN_LOG_LEVEL: '3',
  TF_NUM_INTRAOP_THREADS: '1',
  TF_NUM_INTEROP_THREADS: '1',
  CUDA_VISIBLE_DEVICES: '',
};

/**
 * A Python that can import a module, for tests that hold showtell against the original: the one that
 * `SHOWTELL_PARITY_PYTHON` names, else python3; null when it can't.
 */
export function pythonWith(module: string): string | null {
  const python = process.env['SHOWTELL_PARITY_PYTHON'] ?? 'python3';
  const code = `import importlib.util, sys; sys.exit(importlib.util.find_spec(${JSON.stringify(module)}) is None)`;
  return spawnSync(python, ['-c', code]).status === 0 ? python : null;
}

/** Runs a script and returns its stdout. */
export function runPython(python: string, script: string, ...args: string[]): string {
  const done = spawnSync(python, [script, ...args], { encoding: 'utf8', env: { ...process.env, ...quiet } });
  if (done.status !== 0) throw new Error(`${script} ended with ${done.status ?? 'a signal'}:\n${done.stderr}`);
  return done.stdout;
}

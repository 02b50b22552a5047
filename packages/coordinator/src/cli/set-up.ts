import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ShowtellError, errorTable, type ErrorCode } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { Progress } from '@showtell/shared/set-up/progress.js';
import { ensureNatsServer } from '../local/nats-binary.js';

/** TensorFlow on the processor or an NVIDIA GPU, and the engines that npm alone brings. */
export type EngineName = 'cpu' | 'cuda' | 'webgpu' | 'wasm';

export interface SetUp {
  /** The nats-server to start. */
  readonly nats: string;
  readonly engine: EngineState;
}

/** What the worker package's set-up says of the engine. */
export interface EngineState {
  readonly ok: boolean;
  readonly changed: boolean;
  readonly engine: EngineName;
  /** TensorFlow's version, addon and folder. */
  readonly tensorflow?: string;
  readonly addon?: string;
  readonly folder?: string;
  /** What other engines compute on. */
  readonly found?: string;
  /** Why `auto` took this one. */
  readonly reason?: string;
}

/** What a job's engine needs to be set up. */
export function setUpNameOf({ name, device }: Job['engine']): EngineName {
  return name === 'tensorflow' ? device : name;
}

/**
 * Makes sure that engine and nats-server are there; quick and silent when they are. Both are had at once. Throws
 * `setup/*`, `engine/*`, `nats/unavailable`.
 */
export async function ensureSetUp(
  progress: Progress,
  engine: EngineName | 'auto',
  options: EngineSetUpOptions = {},
): Promise<SetUp> {
  // An engine that cannot be had is told at once; building nats-server may take a minute longer.
  const engineFailed = new AbortController();
  const state = setUpEngine(engine, options).catch((error: unknown) => {
    engineFailed.abort();
    throw error;
  });
  const [built, nats] = await Promise.allSettled([state, ensureNatsServer(progress, engineFailed.signal)]);
  if (built.status === 'rejected') throw built.reason;
  if (nats.status === 'rejected') throw nats.reason;
  return { nats: nats.value, engine: built.value };
}

export interface EngineSetUpOptions {
  /** Looks only, and builds nothing: `ok` says whether all is there. */
  readonly check?: boolean;
  /** Builds the cuda engine where there is no GPU, for container images. */
  readonly withoutGpu?: boolean;
}

/** Runs the worker package's set-up as a process of its own; its progress goes to standard error by itself. */
export async function setUpEngine(engine: EngineName | 'auto', options: EngineSetUpOptions = {}): Promise<EngineState> {
  const program = fileURLToPath(import.meta.resolve('@showtell/worker/engine/setup-main.js'));
  const args = [
    program,
    '--engine',
    engine,
    ...(options.check === true ? ['--check'] : []),
    ...(options.withoutGpu === true ? ['--without-gpu'] : []),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  const line = output.trim().split('\n').at(-1) ?? '';
  const said = JSON.parse(line === '' ? '{"ok":false}' : line) as EngineState | Failure;
  if ('code' in said) throw revive(said);
  if (!('engine' in said))
    throw new Error(`the engine's set-up ended without saying how (status ${child.exitCode ?? -1})`);
  return said;
}

interface Failure {
  readonly code: string;
  readonly facts: unknown;
  readonly message: string;
}

/** The error that the set-up's process threw. */
function revive(failure: Failure): Error {
  if (!(failure.code in errorTable)) return new Error(failure.message);
  return new ShowtellError(failure.code as ErrorCode, failure.facts as never);
}

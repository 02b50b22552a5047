import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';

const root = new URL('../../../', import.meta.url);
const showtell = fileURLToPath(new URL('packages/coordinator/bin/showtell.js', root));
const worker = fileURLToPath(new URL('packages/worker/bin/showtell-worker.js', root));

/** A process of the cluster under test. */
export interface Running {
  readonly child: ChildProcess;
  /** What it wrote so far, both streams. */
  output(): string;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

function start(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, [file, ...args], { stdio: 'pipe', env: { ...process.env, ...env } });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  child.stderr.on('data', (text: Buffer) => (output += text.toString()));
  const ended = once(child, 'close').then(
    ([code, signal]: (number | NodeJS.Signals | null)[]) => code ?? signal ?? 'SIGKILL',
  ) as Promise<number | NodeJS.Signals>;
  const running = { child, output: () => output, ended };
  started.add(running);
  void ended.then(() => started.delete(running));
  return running;
}

const started = new Set<Running>();

/** Kills what still runs; for `afterEach`. */
export async function killStarted(): Promise<void> {
  for (const { child, ended } of [...started]) {
    child.kill('SIGKILL');
    await ended;
  }
}

/** `showtell …` to its end; throws with its output when it fails. */
export async function runShowtell(...args: readonly string[]): Promise<string> {
  const running = start(showtell, args);
  const code = await running.ended;
  if (code !== 0) throw new Error(`showtell ${args.join(' ')} ended with ${code}:\n${running.output()}`);
  return running.output();
}

export const startShowtell = (...args: readonly string[]): Running => start(showtell, args);

export const startWorker = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Running => start(worker, args, env);

/** A job of a model so small that its steps take milliseconds. */
export function writeJob(file: string, fields: Record<string, unknown> = {}): string {
  const job = {
    name: 'worker-test',
    seed: 3,
    model: {
      encoder: { depthMultiplier: 0.1, imageSize: 75 },
      decoder: { embedding: 16, units: 16, vocabulary: 60 },
    },
    batch: { examples: 8, units: 4, captionLengths: [16] },
    augmentation: { enabled: false, resize: 0 },
    engine: { threads: 1 },
    phases: { decoderOnly: { steps: 8, learningRate: 0.1 }, joint: { steps: 0 } },
    evaluation: { everySteps: 1000, perplexityExamples: 8, captionImages: 2, unitExamples: 8, sampleImages: 0 },
    checkpoints: { everySteps: 1000 },
    ...fields,
  };
  writeFileSync(file, JSON.stringify(job));
  return file;
}

export async function eventually<T>(what: string, probe: () => T | null | undefined | false, ms = 60_000): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = probe();
    if (found !== null && found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await delay(50);
  }
}

/** The parameters' hash of a run's newest checkpoint. */
export async function parameterHash(run: string): Promise<string> {
  const shown = JSON.parse(await runShowtell('checkpoint', 'show', run, '--json')) as {
    parameters: { sha256: string };
  };
  return shown.parameters.sha256;
}

/** JSON lines of a run's file; none while it isn't there. */
export function lines(run: string, ...names: string[]): Record<string, unknown>[] {
  const file = join(run, ...names);
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

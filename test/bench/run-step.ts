import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { EngineName } from '@showtell/shared/job/engine-names.js';
import type { EncoderName } from '@showtell/shared/model/parameters.js';
import { median } from './median.js';

export interface Measured {
  /** Median milliseconds of a step. */
  readonly step: number;
  /** Of its gradient alone, without clipping and update; showtell's step is that. */
  readonly gradient: number;
  /** MiB. */
  readonly peak: number;
}

export interface StepOptions {
  readonly name: EncoderName;
  /** Side of the pictures. */
  readonly size: number;
  readonly kind: 'joint' | 'frozen' | 'features';
  readonly precision: 'float32' | 'bfloat16';
  readonly steps: number;
  /** Compiled TensorFlow graphs where it is not named. */
  readonly engine?: EngineName;
  /** The whole encoder and im2txt's decoder where they are not named. */
  readonly depthMultiplier?: number;
  readonly decoder?: { readonly embedding: number; readonly units: number; readonly vocabulary: number };
  readonly batch?: { readonly B: number; readonly T: number };
  readonly threads?: number;
}

/** Examples, and words of a caption. */
const usualBatch = { B: 8, T: 20 };
const im2txtDecoder = { embedding: 512, units: 512, vocabulary: 12_000 };

/** showtell's steps in a process of their own. */
export async function showtellStep(asked: StepOptions): Promise<Measured> {
  const { size, batch = usualBatch, ...rest } = asked;
  const usual = { engine: 'tensorflow', depthMultiplier: 1, decoder: im2txtDecoder, threads: threads(), warmup: 2 };
  const options = { ...usual, ...rest, S: size, ...batch };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [fileURLToPath(new URL('./step-worker.mjs', import.meta.url)), JSON.stringify(options)],
    { maxBuffer: 1 << 24 },
  );
  const { times, peak } = JSON.parse(stdout) as { times: number[]; peak: number };
  const step = median(times);
  return { step, gradient: step, peak };
}

/** PyTorch's, of the same batch and threads. */
export async function torchStep(
  python: string,
  options: readonly string[],
  side: number,
  steps: number,
): Promise<Measured> {
  const script = fileURLToPath(new URL('./peers/torch_im2txt.py', import.meta.url));
  const size = ['--batch', String(usualBatch.B), '--caplen', String(usualBatch.T), '--size', String(side)];
  const counts = ['--threads', String(threads()), '--steps', String(steps), '--warmup', '3'];
  const { stdout } = await promisify(execFile)(python, [script, ...options, ...size, ...counts], {
    maxBuffer: 1 << 24,
  });
  const line = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, number>;
  const { step_ms_median: step = NaN, gradient_ms_median: gradient = NaN, peak_rss_mib: peak = NaN } = line;
  return { step, gradient, peak };
}

/** Two at most: a worker of a cluster is small. */
function threads(): number {
  return Math.min(2, availableParallelism());
}

/** The smallest of each over several rounds. */
export function best(runs: readonly Measured[]): Measured {
  const smallest = (of: (run: Measured) => number): number => Math.min(...runs.map(of));
  return {
    step: smallest((run) => run.step),
    gradient: smallest((run) => run.gradient),
    peak: smallest((run) => run.peak),
  };
}

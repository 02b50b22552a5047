import { resolve } from 'node:path';
import type { Job } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { synthesize } from '../../data/synth.js';
import { pageToken } from '../../dashboard/mount.js';
import { RunFolder } from '../../run-folder.js';
import { statusOfStopped } from '../../stopped-status.js';
import { type EngineAsked, engineOverrides } from '../engine-option.js';
import { finishWithReport } from '../finish-with-report.js';
import { terminalPresenter } from '../present.js';
import { runToEnd } from '../run-to-end.js';
import { terminalProgress } from '../terminal-progress.js';

export interface DemoOptions {
  readonly run: string;
  readonly data: string;
  readonly workers: number;
  readonly set?: readonly string[];
  readonly threads: number;
  readonly engine?: EngineAsked;
}

/** Pictures of the demo's scenes: 432 kinds of scene (8 colours, 3 shapes, 9 places, 2 sizes), each several times. */
const pictures = { train: 3000, val: 300, test: 100 };

/** `showtell demo`: its exit code becomes the process's. */
export async function demo({ run, data, workers, set = [], threads, engine }: DemoOptions): Promise<void> {
  await synthesize({
    directory: data,
    seed: 1,
    pictures,
    size: 96,
    objects: 1,
    maxCount: 1,
    backgrounds: 1,
    captions: 5,
    shards: { train: null, val: null, test: null },
    threads,
    progress: terminalProgress(),
  });
  const overrides = [...set, `data.directory=${JSON.stringify(resolve(data))}`];
  const folder = new RunFolder(run);
  const isFinished = folder.exists && statusOfStopped(folder).state === 'finished';
  if (isFinished) process.stdout.write(`The demo in ${run} has been trained; remove that folder to train it anew.\n\n`);
  else {
    const job = await demoJob(overrides, folder, engine);
    using presenter = terminalPresenter(workers, job);
    const local = { natsUrl: null, host: '127.0.0.1', grpcPort: 0, httpPort: 0, shards: null, pageToken: pageToken() };
    ({ code: process.exitCode } = await runToEnd({ run, job, resume: true, from: null, workers, ...local }, presenter));
  }
  await finishWithReport(run, false);
}

/** The preset on the engine that was asked for, else the one the run has begun with, else the fastest here. */
async function demoJob(overrides: readonly string[], folder: RunFolder, asked?: EngineAsked): Promise<Job> {
  const parse = (more: readonly string[]): Job =>
    parseJob({ preset: 'demo' }, [...overrides, ...more], 'the preset demo');
  if (asked === undefined && folder.exists) {
    const { engine } = parseJob(folder.job(), [], `the job of ${folder.path}`);
    return parse([`engine.name=${engine.name}`]);
  }
  if (asked === undefined && overrides.some((override) => override.startsWith('engine.name='))) return parse([]);
  return parse(await engineOverrides(asked ?? 'auto', parse([])));
}

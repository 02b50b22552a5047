import { absoluteLocation } from '@showtell/shared/data/location.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { loadJob, parseJob } from '@showtell/shared/job/load-job.js';
import { RunFolder } from '../../run-folder.js';
import { pageToken } from '../../dashboard/mount.js';
import { checkpointFolder } from '../checkpoint-folder.js';
import { jsonPresenter, terminalPresenter } from '../present.js';
import { runToEnd } from '../run-to-end.js';
import { usualWorkers } from '../session.js';
import { type EngineAsked, engineOverrides } from '../engine-option.js';
import { finishWithReport } from '../finish-with-report.js';

export interface TrainOptions {
  readonly preset?: string;
  readonly run: string;
  readonly data?: string;
  readonly workers?: number;
  readonly maxMemory?: number;
  readonly set?: readonly string[];
  readonly resume?: true;
  readonly from?: string;
  readonly json?: true;
  readonly engine?: EngineAsked;
}

/** `showtell train`: its exit code becomes the process's. @param file the job file */
export async function train(file: string | undefined, options: TrainOptions): Promise<void> {
  const job = await jobOf(file, options);
  const workers = options.workers ?? usualWorkers(job);
  using presenter = options.json === true ? jsonPresenter() : terminalPresenter(workers, job);
  ({ code: process.exitCode } = await runToEnd(
    {
      run: options.run,
      job,
      resume: options.resume === true,
      from: options.from === undefined ? null : checkpointFolder(options.from),
      workers,
      maxMemory: options.maxMemory ?? null,
      natsUrl: null,
      host: '127.0.0.1',
      grpcPort: 0,
      httpPort: 0,
      shards: null,
      pageToken: pageToken(),
    },
    presenter,
  ));
  presenter[Symbol.dispose]();
  await finishWithReport(options.run, options.json === true);
}

/**
 * The job from a file, a preset, or the run that is resumed; the data's folder made absolute.
 *
 * @throws ShowtellError `run/missing` when there is nothing to resume
 */
async function jobOf(file: string | undefined, options: TrainOptions): Promise<Job> {
  if (options.resume === true) new RunFolder(options.run).identity();
  const { preset, set = [], data } = options;
  const overrides = data === undefined ? set : [...set, `data.directory=${JSON.stringify(absoluteLocation(data))}`];
  const named = await read(file, preset, overrides, options);
  const { engine } = options;
  const job =
    engine === undefined
      ? named
      : await read(file, preset, [...overrides, ...(await engineOverrides(engine, named))], options);
  const { directory } = job.data;
  if (directory === undefined) throw new ShowtellError('job/no-data', {});
  return { ...job, data: { ...job.data, directory: absoluteLocation(directory) } };
}

async function read(
  file: string | undefined,
  preset: string | undefined,
  overrides: readonly string[],
  { run, resume }: TrainOptions,
): Promise<Job> {
  if (file !== undefined) return loadJob(file, overrides);
  if (preset !== undefined) return parseJob({ preset }, overrides, `the preset ${preset}`);
  if (resume === true) return parseJob(new RunFolder(run).job(), overrides, `the job of ${run}`);
  throw new ShowtellError('job/none', {});
}

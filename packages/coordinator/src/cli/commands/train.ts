import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { loadJob, parseJob } from '@showtell/shared/job/load-job.js';
import { presets } from '@showtell/shared/job/presets.js';
import { RunFolder } from '../../run-folder.js';
import { checkpointFolder } from '../checkpoint-folder.js';
import { integerFrom } from '../data-options.js';
import { jsonPresenter, terminalPresenter } from '../present.js';
import { runToEnd } from '../run-to-end.js';
import { usualWorkers } from '../session.js';
import { type EngineAsked, engineOption, engineOverrides } from '../engine-option.js';
import { finishWithReport } from '../finish-with-report.js';

interface TrainOptions {
  readonly preset?: string;
  readonly run: string;
  readonly data?: string;
  readonly workers?: number;
  readonly set?: readonly string[];
  readonly resume?: true;
  readonly from?: string;
  readonly json?: true;
  readonly engine?: EngineAsked;
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export function register(program: Command): void {
  program
    .command('train')
    .description('train a job on this machine: coordinator, parameter server, NATS and workers as processes')
    .argument('[job]', 'the job file (YAML)')
    .addOption(new Option('--preset <name>', 'a built-in job instead of a file').choices(Object.keys(presets)))
    .requiredOption('--run <dir>', "the run's folder: made, or gone on with (--resume)")
    .option('--data <dir>', 'the data folder, over data.directory of the job')
    .option(
      '--workers <n>',
      "worker processes (default: as many as the cores hold of the job's threads)",
      integerFrom(0),
    )
    .option('--set <field.path=value>', 'override one field of the job; may be repeated', collect)
    .addOption(engineOption("the job's"))
    .option('--resume', 'go on from the last checkpoint; without a job, with the one the run has')
    .option('--from <checkpoint>', 'begin with the values of RUN[@STEP] of another run, numeric fields changed at will')
    .option('--json', 'print a JSON line for each step and event')
    .addHelpText(
      'after',
      `
The folder of a run has its checkpoints, journal, logs and evaluations, and at the end report.html. Ctrl-C saves a
checkpoint and says how to go on; a second one ends at once. On resume the steps of a phase that is not over may
grow and operational fields (docs/job.md) may change; anything else is another run: give --from.

Exit codes: 0 the job is complete, 10 the guard before the joint phase was unmet, 11 stopped with a checkpoint,
64 a wrong command line, 78 a wrong job, others as docs/errors.md lists them.

Examples:
  showtell train --preset demo --run runs/a --data data/scenes
  showtell train job.yaml --run runs/b --workers 3 --set seed=7 --set phases.joint.steps=500
  showtell train --run runs/b --resume
  showtell train job.yaml --run runs/c --from runs/b@300 --set phases.joint.learningRate=0.05`,
    )
    .action(async (file: string | undefined, options: TrainOptions) => {
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
          natsUrl: null,
          host: '127.0.0.1',
          grpcPort: 0,
          httpPort: 0,
        },
        presenter,
      ));
      presenter[Symbol.dispose]();
      await finishWithReport(options.run, options.json === true);
    });
}

/**
 * The job from a file, a preset, or the run that is resumed; the data folder made absolute.
 *
 * @throws ShowtellError `run/missing` when there is nothing to resume
 */
async function jobOf(file: string | undefined, options: TrainOptions): Promise<Job> {
  if (options.resume === true) new RunFolder(options.run).identity();
  const { preset, set = [], data } = options;
  const overrides = data === undefined ? set : [...set, `data.directory=${JSON.stringify(resolve(data))}`];
  const named = await read(file, preset, overrides, options);
  const { engine } = options;
  const job =
    engine === undefined
      ? named
      : await read(file, preset, [...overrides, ...(await engineOverrides(engine, named))], options);
  const { directory } = job.data;
  if (directory === undefined) throw new ShowtellError('job/no-data', {});
  return { ...job, data: { ...job.data, directory: resolve(directory) } };
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

import { Option, type Command } from 'commander';
import { tlsOption } from '../tls-option.js';
import { presets } from '@showtell/shared/job/presets.js';
import type { TrainOptions } from '../actions/train.js';
import { integerFrom, memorySizeFrom } from '../data-options.js';
import { engineOption } from '../engine-option.js';

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export function register(program: Command): void {
  const command = program
    .command('train')
    .description('train a job on this machine: coordinator, parameter server, NATS and workers as processes')
    .argument('[job]', 'the job file (YAML)')
    .addOption(new Option('--preset <name>', 'a built-in job instead of a file').choices(Object.keys(presets)))
    .requiredOption('--run <dir>', "the run's folder: made, or gone on with (--resume)")
    .option('--data <place>', 'the data: a folder or a bucket, nats://HOST:PORT/BUCKET; over data.directory of the job')
    .option(
      '--workers <n>',
      "worker processes (default: as many as the cores hold of the job's threads)",
      integerFrom(0),
    )
    .option(
      '--max-memory <size>',
      "a worker that outgrows this is replaced: 4G, 512M (default: 90 % of the cgroup's limit, if it has one)",
      memorySizeFrom,
    )
    .option('--set <field.path=value>', 'override one field of the job; may be repeated', collect)
    .addOption(engineOption("the job's"))
    .option('--resume', 'go on from the last checkpoint; without a job, with the one the run has')
    .option('--from <checkpoint>', 'begin with the values of RUN[@STEP] of another run, numeric fields changed at will')
    .option('--json', 'print a JSON line for each step and event');
  tlsOption(command, 'coordinator')
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
      const { train } = await import('../actions/train.js');
      await train(file, options);
    });
}

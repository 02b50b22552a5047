import { resolve } from 'node:path';
import type { Command } from 'commander';
import { loadJob } from '@showtell/shared/job/load-job.js';
import { integerFrom } from '../data-options.js';
import { jsonPresenter } from '../present.js';
import { runToEnd } from '../run-to-end.js';
import { runAndStay } from '../stay.js';

interface CoordinatorFlags {
  readonly run: string;
  readonly data: string;
  readonly nats: string;
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly stay?: true;
}

export function register(program: Command): void {
  program
    .command('coordinator')
    .description('coordinate a run on a cluster: parameter server included, NATS and workers started elsewhere')
    .argument('<job>', 'the job file (YAML)')
    .requiredOption('--run <dir>', "the run's folder: made, or gone on with")
    .requiredOption('--data <dir>', 'the data folder')
    .requiredOption('--nats <url>', 'the NATS server, such as nats://nats:4222')
    .option('--host <address>', 'where to listen; 0.0.0.0 for workers on other machines', '127.0.0.1')
    .option('--grpc-port <port>', 'port of the parameter server; 0 takes a free one', integerFrom(0), 50051)
    .option(
      '--http-port <port>',
      'port of /metrics, /status, /healthz and /readyz; 0 takes a free one',
      integerFrom(0),
      9464,
    )
    .option('--stay', 'after the end, good or bad, answer /status until SIGTERM instead of exiting')
    .addHelpText(
      'after',
      `
Prints a JSON line for each step and event. Started again on the same folder it goes on from the last checkpoint, as a
new generation; an older coordinator that still lives is refused everything from then on.

GET /status answers what "showtell status --json" prints. With --stay a supervisor that starts ended processes again, as
Kubernetes' StatefulSet does, finds the outcome there; a failure that may pass still ends the process.

Exit codes: as showtell train has them.

Example:
  showtell coordinator job.yaml --run /runs/a --data /data/mscoco --nats nats://nats:4222 --host 0.0.0.0
  showtell worker --coordinator coordinator:50051 --job job.yaml --data /data/mscoco     (on each other machine)`,
    )
    .action(async (file: string, { run, data, nats, host, grpcPort, httpPort, stay }: CoordinatorFlags) => {
      const job = await loadJob(file, [`data.directory=${JSON.stringify(resolve(data))}`]);
      using presenter = jsonPresenter();
      const options = { run, job, resume: true, from: null, workers: 0, natsUrl: nats, host, grpcPort, httpPort };
      process.exitCode =
        stay === true ? await runAndStay(options, presenter) : (await runToEnd(options, presenter)).code;
    });
}

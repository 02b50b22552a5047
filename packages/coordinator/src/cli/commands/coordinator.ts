import { type Command, InvalidArgumentError } from 'commander';
import { isAddress } from '@showtell/shared/rpc/address.js';
import { tlsOption } from '../tls-option.js';
import { portFrom } from '../data-options.js';

interface CoordinatorFlags {
  readonly run: string;
  readonly data: string;
  readonly nats: string;
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly shards?: readonly string[];
  readonly stay?: true;
}

/** @throws InvalidArgumentError */
function addressesOf(text: string): readonly string[] {
  const addresses = text.split(',').map((each) => each.trim());
  if (!addresses.every(isAddress))
    throw new InvalidArgumentError('It is a list of HOST:PORT, with commas between them.');
  if (new Set(addresses).size < addresses.length) throw new InvalidArgumentError('A shard is named twice.');
  return addresses;
}

export function register(program: Command): void {
  const command = program
    .command('coordinator')
    .description('coordinate a run on a cluster: parameter server included, NATS and workers started elsewhere')
    .argument('<job>', 'the job file (YAML)')
    .requiredOption('--run <dir>', "the run's folder: made, or gone on with")
    .requiredOption('--data <place>', 'the data: a folder, or a bucket, nats://HOST:PORT/BUCKET')
    .requiredOption('--nats <url>', 'the NATS server, such as nats://nats:4222')
    .option('--host <address>', 'where to listen; 0.0.0.0 for workers on other machines', '127.0.0.1')
    .option('--grpc-port <port>', 'port of the parameter server; 0 takes a free one', portFrom, 50051)
    .option(
      '--http-port <port>',
      'port of the page, /metrics, /status, /healthz and /readyz; 0 takes a free one',
      portFrom,
      9464,
    )
    .option(
      '--shards <addresses>',
      'the shards (showtell ps), HOST:PORT,HOST:PORT…; as many as cluster.parameterShards, if that is set',
      addressesOf,
    )
    .option('--stay', 'after the end, good or bad, answer /status and /metrics until SIGTERM instead of exiting');
  tlsOption(command, 'coordinator')
    .addHelpText(
      'after',
      `
Prints a JSON line for each step and event. Started again on the same folder it goes on from the last checkpoint, as a
new generation; an older coordinator that still lives is refused everything from then on.

The run's page stands at / of that port. Beyond loopback it asks for the token in SHOWTELL_TOKEN, and without one there
is no page; /metrics, /status, /healthz and /readyz ask for nothing.

GET /status answers what "showtell status --json" prints. With --stay a supervisor that starts ended processes again, as
Kubernetes' StatefulSet does, finds the outcome there; a failure that may pass still ends the process.

Exit codes: as showtell train has them.

Example:
  showtell coordinator job.yaml --run /runs/a --data /data/mscoco --nats nats://nats:4222 --host 0.0.0.0
  showtell worker --coordinator coordinator:50051 --job job.yaml --data /data/mscoco     (on each other machine)`,
    )
    .action(async (file: string, { run, data, nats, host, grpcPort, httpPort, shards, stay }: CoordinatorFlags) => {
      const { absoluteLocation } = await import('@showtell/shared/data/location.js');
      const { loadJob } = await import('@showtell/shared/job/load-job.js');
      const { pageToken } = await import('../../dashboard/mount.js');
      const { jsonPresenter } = await import('../present.js');
      const { runToEnd } = await import('../run-to-end.js');
      const { runAndStay } = await import('../stay.js');
      const job = await loadJob(file, [`data.directory=${JSON.stringify(absoluteLocation(data))}`]);
      using presenter = jsonPresenter();
      const listen = { natsUrl: nats, host, grpcPort, httpPort, shards: shards ?? null, pageToken: pageToken() };
      const onWait = (text: string): void => void process.stderr.write(`${text}\n`);
      const options = { run, job, resume: true, from: null, workers: 0, onWait, ...listen };
      process.exitCode =
        stay === true ? await runAndStay(options, presenter) : (await runToEnd(options, presenter)).code;
    });
}

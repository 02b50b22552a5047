import type { Command } from 'commander';
import { integerFrom } from '../data-options.js';

interface Flags {
  readonly host?: readonly string[];
  readonly days: number;
  readonly bucket?: readonly string[];
  readonly worker?: readonly string[];
  readonly renew?: true;
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export function register(program: Command): void {
  program
    .command('certs')
    .description('make an authority, and certificates and keys for each role, for --tls')
    .argument('<dir>', 'the folder to make, or with --renew the one that is there')
    .option('--host <name>', 'by which coordinator and NATS are reached by others; may be repeated', collect)
    .option('--days <n>', 'how long certificates are good; the authority for ten years', integerFrom(1, 3_650), 365)
    .option(
      '--bucket <name>',
      'bucket with data that workers may read; may be repeated (default: showtell-data)',
      collect,
    )
    .option('--worker <name>', 'also a certificate for a worker of that --id alone; may be repeated', collect)
    .option(
      '--renew',
      'new certificates from the authority in DIR for all that have one; hosts, buckets and NATS keys stay',
    )
    .addHelpText(
      'after',
      `
DIR gets ca.crt, ca.key and a folder for each role, with the files that the role needs and no others: coordinator, worker,
client (for status, pause, stop, data push and so on) and nats (with nats.conf). Keys are readable by their owner alone.
ca.key makes further certificates: keep it where no role runs.

With --renew, --host, --bucket and --worker add to what is there. nats.conf is written anew only where a bucket or a key is not in it.

Whoever runs finds new certificates within seconds and uses them for new connections.

Exit codes: 0, 64 a name that is none, 66 nothing there to renew from, 73 the folder holds certificates already or
cannot be written, 78 a file in it cannot be read.

Examples:
  showtell certs certs --host coordinator.lab --host nats.lab
  showtell train job.yaml --run runs/a --tls certs
  showtell certs certs --renew`,
    )
    .action(async (directory: string, { host = [], days, bucket, worker = [], renew }: Flags) => {
      const { makeCerts } = await import('../../security/make-certs.js');
      const options = { directory, hosts: host, days, buckets: bucket, workers: worker, renew: renew === true };
      const made = await makeCerts(options);
      for (const { folder, until, isCut } of made) {
        const why = isCut ? ', when the authority ends' : '';
        process.stdout.write(`${folder}  until ${until.toISOString().slice(0, 10)}${why}\n`);
      }
    });
}

import type { Command } from 'commander';
import { tlsOption } from '../tls-option.js';

interface Flags {
  readonly nats: string;
  readonly bucket: string;
  readonly json?: true;
}

/** `showtell data push`. */
export function register(parent: Command): void {
  const command = parent
    .command('push')
    .description("put a data folder into a bucket of NATS' object store, for workers that share no disk")
    .argument('<dir>', 'data folder')
    .requiredOption('--nats <url>', 'the NATS server, such as nats://nats:4222, with JetStream')
    .option('--bucket <name>', 'the bucket: made, or gone on with', 'showtell-data')
    .option('--json', 'print the result as one JSON line');
  tlsOption(command, 'client')
    .addHelpText(
      'after',
      `
Sends what is missing there or different, each file by its hash; interrupted, the same command goes on where it stopped.
A bucket holds one data set. Pictures beside the shards (images/) are not sent: nothing reads them.

Exit codes: 0 the bucket holds the data set, 66 there is no such folder, 69 no NATS server with JetStream answers, 73 the
bucket holds another data set or takes no more.

Example:
  showtell data push data/mscoco --nats nats://nats:4222 --bucket mscoco
  showtell train job.yaml --run runs/a --data nats://nats:4222/mscoco`,
    )
    .action(async (directory: string, { nats, bucket, json }: Flags) => {
      const { lineProgress } = await import('@showtell/shared/set-up/progress.js');
      const { bucketAt } = await import('@showtell/shared/data/location.js');
      const { pushFolder } = await import('../../data/push-folder.js');
      const pushed = await pushFolder(directory, bucketAt(nats, bucket), lineProgress());
      if (json === true) {
        process.stdout.write(`${JSON.stringify({ directory, ...pushed })}\n`);
        return;
      }
      const { sent, kept, location, digest } = pushed;
      const there = kept.files === 0 ? '' : `, ${filesText(kept)} there already`;
      process.stdout.write(
        `${location} holds ${directory}: ${filesText(sent)} sent${there}; digest ${digest.slice(0, 12)}\n`,
      );
    });
}

const filesText = ({ files, bytes }: { readonly files: number; readonly bytes: number }): string =>
  `${files} ${files === 1 ? 'file' : 'files'} (${(bytes / 1e6).toFixed(1)} MB)`;

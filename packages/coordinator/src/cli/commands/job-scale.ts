import type { Command } from 'commander';
import { clusterHelp, clusterOptions, openJobClient, type ClusterFlags } from '../cluster-options.js';
import { integerFrom } from '../data-options.js';

export function register(job: Command): void {
  clusterOptions(
    job
      .command('scale')
      .description('change how many workers a job in a cluster has')
      .argument('<name>', "the job's name in the cluster")
      .argument('<workers>', 'how many there are to be', integerFrom(0)),
  )
    .addHelpText(
      'after',
      `${clusterHelp}

Example:
  showtell job scale captions 8`,
    )
    .action(async (name: string, workers: number, flags: ClusterFlags) => {
      const client = await openJobClient(flags);
      await client.scale(name, workers);
      process.stdout.write(`job ${client.namespace}/${name}: ${workers} workers\n`);
    });
}

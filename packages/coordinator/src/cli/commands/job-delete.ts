import type { Command } from 'commander';
import { clusterHelp, clusterOptions, openJobClient, type ClusterFlags } from '../cluster-options.js';

export function register(job: Command): void {
  clusterOptions(
    job
      .command('delete')
      .description('end a job in a cluster, saved, and remove all of it but the volume of its runs')
      .argument('<name>', "the job's name in the cluster"),
  )
    .addHelpText(
      'after',
      `${clusterHelp}

Example:
  showtell job delete captions`,
    )
    .action(async (name: string, flags: ClusterFlags) => {
      const client = await openJobClient(flags);
      for (const object of await client.delete(name)) process.stdout.write(`${object} deleted\n`);
      process.stdout.write(`The claim runs-${name}-coordinator-0 with checkpoints, journal and logs stays.\n`);
    });
}

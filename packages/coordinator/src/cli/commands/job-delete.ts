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
      `
A TrainingJob is there until its coordinator has saved a checkpoint, some five minutes at most, and is let go by the operator;
docs/kubernetes.md tells how it goes where none is at work. Of plain manifests all objects are deleted at once, and the
coordinator saves as its pod ends.
${clusterHelp}

Example:
  showtell job delete captions`,
    )
    .action(async (name: string, flags: ClusterFlags) => {
      const client = await openJobClient(flags);
      const { objects, awaitsOperator } = await client.delete(name);
      for (const object of objects) process.stdout.write(`${object} deleted\n`);
      if (awaitsOperator)
        process.stdout.write('It goes once its coordinator has saved a checkpoint; the operator sees to that.\n');
      process.stdout.write(`The claim runs-${name}-coordinator-0 with checkpoints, journal and logs stays.\n`);
    });
}

import { createInterface } from 'node:readline';
import { Option, type Command } from 'commander';
import type { Role } from '../../kubernetes/naming.js';
import { clusterHelp, clusterOptions, openJobClient, type ClusterFlags } from '../cluster-options.js';
import { integerFrom } from '../data-options.js';

interface LogsFlags extends ClusterFlags {
  readonly role: Role;
  readonly follow?: true;
  readonly tail?: number;
}

export function register(job: Command): void {
  clusterOptions(
    job
      .command('logs')
      .description("what a job's pods in a cluster have written")
      .argument('<name>', "the job's name in the cluster"),
  )
    .addOption(
      new Option('--role <role>', 'whose')
        .choices(['coordinator', 'worker', 'ps', 'nats'])
        .default('coordinator' as const),
    )
    .option('--follow', 'go on as more comes, until the pods end')
    .option('--tail <lines>', 'the last lines only', integerFrom(0))
    .addHelpText(
      'after',
      `${clusterHelp}

Lines of several workers begin with the pod's name.

Examples:
  showtell job logs captions --follow
  showtell job logs captions --role worker --tail 20`,
    )
    .action(async (name: string, { role, follow, tail, ...flags }: LogsFlags) => {
      const client = await openJobClient(flags);
      const pods = await client.pods(name, role);
      const options = { container: role, follow: follow === true, tail: tail ?? null };
      const print = async (pod: string): Promise<void> => {
        const begin = pods.length > 1 ? `${pod}: ` : '';
        const input = await client.logs(pod, options);
        for await (const line of createInterface({ input })) process.stdout.write(`${begin}${line}\n`);
      };
      if (follow === true) await Promise.all(pods.map(print));
      else for (const pod of pods) await print(pod);
    });
}

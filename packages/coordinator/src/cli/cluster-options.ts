import type { Command } from 'commander';
import type { JobClient } from '../kubernetes/job-client.js';

/** What every command that speaks to a cluster takes. */
export interface ClusterFlags {
  readonly namespace?: string;
  readonly context?: string;
}

export function clusterOptions(command: Command): Command {
  return command
    .option('--namespace <name>', "the namespace; none: the context's")
    .option('--context <name>', "the kubeconfig's context; none: the current one");
}

/** What all their help ends with. */
export const clusterHelp = `
The cluster is the one of KUBECONFIG or ~/.kube/config, as for kubectl.

Exit codes: 0, 66 there is no such job, 69 the cluster does not answer or knows no TrainingJobs, 77 no rights, 78 no
cluster is configured or the job is wrong.`;

/** Loaded on demand: the client of Kubernetes takes half a second, which no other command should wait for. */
export async function openJobClient({ namespace, context }: ClusterFlags): Promise<JobClient> {
  const { JobClient: client } = await import('../kubernetes/job-client.js');
  return client.open(context ?? null, namespace ?? null);
}

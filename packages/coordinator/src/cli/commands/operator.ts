import type { Command } from 'commander';
import { integerFrom, portFrom } from '../data-options.js';

interface OperatorFlags {
  readonly namespace?: string;
  readonly leaseNamespace?: string;
  readonly host: string;
  readonly httpPort: number;
  readonly poll: number;
}

export function register(program: Command): void {
  program
    .command('operator')
    .description("act on a cluster's TrainingJobs until SIGTERM: make their objects, tell their progress")
    .option('--namespace <name>', 'look after this namespace only; none: all of them')
    .option('--lease-namespace <name>', "of the Lease by which one operator leads; none: the kubeconfig's")
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .option('--http-port <port>', 'port of /metrics, /healthz and /readyz; 0 takes a free one', portFrom, 9466)
    .option('--poll <seconds>', 'how often a coordinator at work is asked', integerFrom(1), 5)
    .addHelpText(
      'after',
      `
The cluster is the one of KUBECONFIG or ~/.kube/config, or the one that the pod is in. deploy/k8s/operator installs it
with the rights that it needs; docs/kubernetes.md tells what it does.

Exit codes: 0 it was told to end, 69 the cluster cannot be reached or has no TrainingJobs, 77 no rights.

Examples:
  showtell operator
  showtell operator --namespace captions`,
    )
    .action(async ({ namespace, leaseNamespace, host, httpPort, poll }: OperatorFlags) => {
      // Loaded on demand: the client of Kubernetes takes half a second, which no other command should wait for.
      const { runOperator } = await import('../../kubernetes/operator/run-operator.js');
      const [all, lease] = [namespace ?? null, leaseNamespace ?? null];
      await runOperator({ namespace: all, leaseNamespace: lease, host, httpPort, pollSeconds: poll });
    });
}

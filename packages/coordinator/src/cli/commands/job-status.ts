import type { Command } from 'commander';
import type { FoundJob } from '../../kubernetes/job-client.js';
import { clusterHelp, clusterOptions, openJobClient, type ClusterFlags } from '../cluster-options.js';
import { colorsFor } from '../colors.js';

export function register(job: Command): void {
  clusterOptions(
    job
      .command('status')
      .description('where a job in a cluster stands')
      .argument('<name>', "the job's name in the cluster"),
  )
    .option('--json', 'print one JSON object: name, namespace, kind and status')
    .addHelpText(
      'after',
      `${clusterHelp}

Of plain manifests only what Kubernetes knows is told; their progress is at the coordinator:
kubectl exec NAME-coordinator-0 -- showtell status /runs/NAME

Examples:
  showtell job status captions
  showtell job status captions --json`,
    )
    .action(async (name: string, { json, ...flags }: ClusterFlags & { json?: true }) => {
      const client = await openJobClient(flags);
      const found = await client.find(name);
      const status = found.kind === 'plain' ? (found.workers['status'] ?? {}) : found.status;
      const { namespace } = client;
      if (json === true) process.stdout.write(`${JSON.stringify({ name, namespace, kind: found.kind, status })}\n`);
      else process.stdout.write(describe(`${namespace}/${name}`, found));
    });
}

function describe(name: string, found: FoundJob): string {
  const colors = colorsFor(process.stdout);
  const row = (field: string, value: string | number | undefined): string =>
    value === undefined || value === '' ? '' : `${colors.dim(field.padEnd(14))}${value}\n`;
  if (found.kind === 'plain') {
    const { active = 0, conditions = [] } = (found.workers['status'] ?? {}) as {
      active?: number;
      conditions?: { type: string; status: string; message?: string }[];
    };
    const end = conditions.find(({ type, status }) => ['Complete', 'Failed'].includes(type) && status === 'True');
    return row('job', `${name}, plain manifests`) + row('workers', active) + row('state', end?.type ?? 'at work');
  }
  const { status } = found;
  const phase = status.phase ?? 'not looked at by an operator yet';
  const step = status.step === undefined ? undefined : `${status.step} of ${status.totalSteps ?? '?'}`;
  const speed = status.imagesPerSecond === undefined ? undefined : `${status.imagesPerSecond} images/s`;
  const lines = [
    row('job', name),
    row('phase', phase === 'Failed' ? colors.red(phase) : phase === 'Running' ? colors.green(phase) : phase),
    row('step', step === undefined ? undefined : `${step}, ${status.trainingPhase ?? ''}`),
    row('loss', status.loss),
    row('speed', speed),
    row('end', status.completionTime ?? status.estimatedEnd),
    row('perplexity', status.perplexity),
    row('BLEU-4', status.bleu4?.toFixed(3)),
    row('checkpoint', status.checkpointStep === undefined ? undefined : `step ${status.checkpointStep}`),
    row('workers', status.workers),
  ];
  for (const { type, status: holds, reason, message } of status.conditions ?? [])
    lines.push(row(type, `${holds}, ${reason}${message === '' ? '' : `: ${message}`}`));
  return lines.join('');
}

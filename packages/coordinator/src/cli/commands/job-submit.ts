import type { Command } from 'commander';
import { clusterHelp, clusterOptions, openJobClient, type ClusterFlags } from '../cluster-options.js';
import { integerFrom } from '../data-options.js';

interface SubmitFlags extends ClusterFlags {
  readonly name?: string;
  readonly workers?: number;
  readonly claim?: string;
  readonly bucket?: string;
  readonly plain?: true;
  readonly dryRun?: true;
  readonly json?: true;
}

export function register(job: Command): void {
  clusterOptions(
    job
      .command('submit')
      .description('begin a job in a cluster, or change one that is there')
      .argument('<job>', 'a job file or a TrainingJob (YAML)')
      .option('--name <name>', "the job's name in the cluster, over its own")
      .option('--workers <n>', 'workers, over workers.replicas of a TrainingJob', integerFrom(0))
      .option('--claim <name>', "the data's PersistentVolumeClaim, over storage.data.claim of a TrainingJob")
      .option('--bucket <name>', "the data's bucket in the job's own NATS, over storage.data.bucket of a TrainingJob"),
  )
    .option('--plain', 'apply the objects that "job render" prints: for clusters without TrainingJobs')
    .option('--dry-run', 'have the cluster check it, and change nothing')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `${clusterHelp}

Examples:
  showtell job submit job.yaml --claim mscoco --workers 8
  showtell job submit job.yaml --plain --namespace captions`,
    )
    .action(async (file: string, { plain, dryRun, json, namespace, context, ...over }: SubmitFlags) => {
      const { loadTrainingJob } = await import('../../kubernetes/training-job.js');
      const wanted = await loadTrainingJob(file, { ...over, ...(namespace === undefined ? {} : { namespace }) });
      const client = await openJobClient({
        ...(context === undefined ? {} : { context }),
        ...(wanted.namespace === undefined ? {} : { namespace: wanted.namespace }),
      });
      const objects = await client.submit(wanted, { plain: plain === true, dryRun: dryRun === true });
      if (json === true) {
        const printed = { name: wanted.name, namespace: client.namespace, dryRun: dryRun === true, objects };
        process.stdout.write(`${JSON.stringify(printed)}\n`);
        return;
      }
      const checked = dryRun === true ? ' (dry run)' : '';
      for (const { object, result } of objects) process.stdout.write(`${object} ${result}${checked}\n`);
    });
}

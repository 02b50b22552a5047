import type { Command } from 'commander';
import type { TrainingJobOverrides } from '../../kubernetes/training-job.js';
import { integerFrom } from '../data-options.js';

export function register(job: Command): void {
  job
    .command('render')
    .description("print a job's objects for Kubernetes as plain manifests")
    .argument('<job>', 'a job file or a TrainingJob (YAML)')
    .option('--name <name>', "the objects' name, over the job's own")
    .option('--namespace <name>', 'the namespace; none: the one that kubectl is in')
    .option('--workers <n>', 'workers, over workers.replicas of a TrainingJob', integerFrom(0))
    .option('--claim <name>', "the data's PersistentVolumeClaim, over storage.data.claim of a TrainingJob")
    .option('--bucket <name>', "the data's bucket in the job's own NATS, over storage.data.bucket of a TrainingJob")
    .addHelpText(
      'after',
      `
For clusters where no CustomResourceDefinition may be installed. docs/kubernetes.md tells what the objects are.

Exit codes: 0, 66 there is no such file, 78 a wrong job.

Examples:
  showtell job render job.yaml --claim mscoco | kubectl apply --server-side -f -
  showtell job render job.yaml --workers 8 --namespace captions`,
    )
    .action(async (file: string, overrides: TrainingJobOverrides) => {
      const { stringify } = await import('yaml');
      const { renderJob } = await import('../../kubernetes/render.js');
      const { loadTrainingJob } = await import('../../kubernetes/training-job.js');
      const objects = renderJob(await loadTrainingJob(file, overrides));
      process.stdout.write(objects.map((object) => stringify(object, { aliasDuplicateObjects: false })).join('---\n'));
    });
}

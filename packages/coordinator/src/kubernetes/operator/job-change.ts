import { numericDifferences } from '@showtell/shared/job/digest.js';
import type { Job } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { parse } from 'yaml';
import type { KubeObject } from '../cluster/resources.js';
import { nameOf } from '../naming.js';
import type { TrainingJob } from '../training-job.js';
import type { Observed } from './observed.js';
import type { Finding } from './status.js';

/** A job as it is to run, and what of its change was not taken. */
export interface AcceptedJob {
  readonly job: TrainingJob;
  /** Null: it runs as it is asked for. */
  readonly refusal: Finding | null;
}

/**
 * The job file of a run that has begun stays as it is while the one asked for would give other parameters: with it the
 * coordinator's next start would fail the job. All else that is asked for counts.
 */
export function acceptedJob(
  job: TrainingJob,
  { resource, objects, answer }: Pick<Observed, 'resource' | 'objects' | 'answer'>,
): AcceptedJob {
  const { run } = resource.status ?? {};
  // What the coordinator says now comes before what was written down at the last look.
  const trainingPhase = (answer.kind === 'said' ? answer.status.phase : undefined) ?? resource.status?.trainingPhase;
  const file = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === `${job.name}-job`);
  const before = run === undefined ? null : jobIn(file?.['data']);
  if (before === null) return { job, refusal: null };
  const problems = [
    ...numericDifferences(before, job.spec.job),
    ...weightsChanged(before, job.spec.job),
    ...lengthsChanged(before, job.spec.job, trainingPhase === 'joint'),
  ];
  if (problems.length === 0) return { job, refusal: null };
  const message = [
    `The run ${run ?? ''} goes on with the job file that it has, since its parameters depend on`,
    `${problems.map((problem) => `spec.job.${problem}`).join('; ')}. Take that back, or make another TrainingJob.`,
  ].join(' ');
  // The GPUs of workers go with the file's device.
  const gpus = before.engine.device === job.spec.job.engine.device ? job.spec.workers.gpus : gpusOf(job, objects);
  return {
    job: { ...job, spec: { ...job.spec, job: before, workers: { ...job.spec.workers, gpus } } },
    refusal: { status: 'False', reason: 'RunDependsOnField', message },
  };
}

/** GPUs that each worker of the Job that is there has. */
function gpusOf(job: TrainingJob, objects: readonly KubeObject[]): number {
  const workers = objects.find(({ kind, metadata }) => kind === 'Job' && metadata.name === nameOf(job, 'worker'));
  const { template } = (workers?.['spec'] ?? {}) as { readonly template?: PodTemplate };
  return Number(template?.spec.containers[0]?.resources?.limits?.['nvidia.com/gpu'] ?? 0);
}

interface PodTemplate {
  readonly spec: {
    readonly containers: readonly {
      readonly resources?: { readonly limits?: Readonly<Record<string, string | number>> };
    }[];
  };
}

/** Null where it holds no job that this version reads: then there is nothing to hold the new one against. */
function jobIn(data: unknown): Job | null {
  const text = (data as Readonly<Record<string, string>> | undefined)?.['job.yaml'];
  if (text === undefined) return null;
  try {
    return parseJob(parse(text), [], 'job.yaml');
  } catch {
    return null;
  }
}

/** A file may move; the coordinator knows it by its hash. */
function weightsChanged({ model: before }: Job, { model: now }: Job): string[] {
  const [was, is] = [before.encoder.weights, now.encoder.weights];
  return was !== is && [was, is].includes('random') ? [`model.encoder.weights: ${was} → ${is}`] : [];
}

/** Lengths may grow while their phase is not over. */
function lengthsChanged({ phases: before }: Job, { phases: now }: Job, isJoint: boolean): string[] {
  return (['decoderOnly', 'joint'] as const).flatMap((phase) => {
    const [was, is] = [before[phase].steps, now[phase].steps];
    const isOver = phase === 'decoderOnly' && isJoint;
    return is < was || (is > was && isOver) ? [`phases.${phase}.steps: ${was} → ${is}`] : [];
  });
}

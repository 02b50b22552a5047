import { numericDifferences } from '@showtell/shared/job/digest.js';
import type { Job } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { parse } from 'yaml';
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
  { resource, objects }: Pick<Observed, 'resource' | 'objects'>,
): AcceptedJob {
  const { run, trainingPhase } = resource.status ?? {};
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
  return {
    job: { ...job, spec: { ...job.spec, job: before } },
    refusal: { status: 'False', reason: 'RunDependsOnField', message },
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

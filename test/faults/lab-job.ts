import type { Job, JobInput } from '@showtell/shared/job/job.js';

/**
 * A run of seconds that has all that a fault can hit: both phases, a checkpoint every other step, momentum (the
 * optimizer's state counts), more than one pass over thirty records, leases so short that they run out.
 */
export const labJob = {
  name: 'lab',
  seed: 7,
  model: {
    encoder: { name: 'inception_v1', depthMultiplier: 0.05, imageSize: 32, batchNormDecay: 0.9 },
    decoder: { embedding: 16, units: 16, vocabulary: 64 },
  },
  batch: { examples: 4, units: 2, captionLengths: [32] },
  augmentation: { enabled: false, resize: 0 },
  optimizer: { name: 'momentum' },
  phases: {
    decoderOnly: { steps: 12, learningRate: 0.1, decay: null },
    joint: { steps: 4, learningRate: 0.1, maxBleuDrop: null, guard: { maxPerplexityRatio: null } },
  },
  evaluation: { everySteps: 1000, beam: 1, perplexityExamples: 1, captionImages: 1, unitExamples: 1, sampleImages: 0 },
  checkpoints: { everySteps: 2, keepLast: 3 },
  cluster: { leaseSeconds: 2, lookAhead: 2, parameterThreads: 1, featureCache: 'memory', stallSeconds: 10 },
  engine: { name: 'tensorflow', threads: 1 },
} as const satisfies JobInput;

/** How a run's parameters are held and made: by the coordinator, by two shards, or each unit applied as it comes. */
export const clusters = ['whole', 'shards', 'asynchronous'] as const;
export type Cluster = (typeof clusters)[number];

export const shardNames = ['ps-1', 'ps-2'] as const;

/** The lab's job on a cluster; an asynchronous one has twice as many steps, of half the examples. */
export function jobOn(cluster: Cluster, job: Job, length: RunLength): Job {
  const { decoderOnly, joint } = phasesOf(length);
  const phases = {
    decoderOnly: { ...job.phases.decoderOnly, steps: decoderOnly },
    joint: { ...job.phases.joint, steps: joint },
  };
  if (cluster === 'shards') return { ...job, phases, cluster: { ...job.cluster, parameterShards: shardNames.length } };
  if (cluster !== 'asynchronous') return { ...job, phases };
  const batch = { ...job.batch, examples: job.batch.examples / job.batch.units, units: 1 };
  const optimizer = { ...job.optimizer, name: 'adagrad' as const };
  return { ...job, phases, batch, optimizer, asynchronous: { maxStaleness: 6, warmStartSteps: 2 } };
}

/** Which phases a run has: as many decoder-only ones as schedules are done to it, and perhaps the joint one, in which most time goes. */
export interface RunLength {
  readonly joint: boolean;
  readonly schedules: number;
  readonly cluster: Cluster;
}

function phasesOf({ joint, schedules, cluster }: RunLength): {
  readonly decoderOnly: number;
  readonly joint: number;
} {
  const { phases } = labJob;
  const times = cluster === 'asynchronous' ? labJob.batch.units : 1;
  return { decoderOnly: phases.decoderOnly.steps * schedules * times, joint: joint ? phases.joint.steps * times : 0 };
}

export function stepsOf(length: RunLength): number {
  const { decoderOnly, joint } = phasesOf(length);
  return decoderOnly + joint;
}

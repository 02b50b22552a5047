import { coordinatorObjects } from './coordinator.js';
import type { Manifest } from './manifest.js';
import { natsObjects } from './nats.js';
import { networkPolicies } from './network-policies.js';
import { shardObjects } from './shards.js';
import type { TrainingJob } from './training-job.js';
import { workerObjects } from './workers.js';

/** Every object of a job on Kubernetes, a function of the job alone: what `showtell job render` prints. */
export function renderJob(job: TrainingJob): Manifest[] {
  return [
    ...networkPolicies(job),
    ...natsObjects(job),
    ...shardObjects(job),
    ...coordinatorObjects(job),
    ...workerObjects(job),
  ];
}

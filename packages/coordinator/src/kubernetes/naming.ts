import type { TrainingJob } from './training-job.js';

/** `ps`: a shard of the parameter server. */
export type Role = 'nats' | 'coordinator' | 'ps' | 'worker';

/** Ports that the roles listen on within their pods. */
export const ports = {
  nats: 4222,
  natsMonitor: 8222,
  grpc: 50051,
  shardGrpc: 50052,
  coordinatorHttp: 9464,
  workerHttp: 9465,
  shardHttp: 9467,
} as const;

export const nameOf = ({ name }: Pick<TrainingJob, 'name'>, role: Role): string => `${name}-${role}`;

/** What selects a role's pods. */
export function selectorOf({ name }: Pick<TrainingJob, 'name'>, role: Role): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'showtell',
    'app.kubernetes.io/instance': name,
    'app.kubernetes.io/component': role,
  };
}

/** Metadata of an object of the job; of all its objects alike where no role is given. */
export function metadataOf(job: Pick<TrainingJob, 'name' | 'namespace'>, name: string, role?: Role) {
  const { namespace } = job;
  const labels =
    role === undefined
      ? { 'app.kubernetes.io/name': 'showtell', 'app.kubernetes.io/instance': job.name }
      : selectorOf(job, role);
  return namespace === undefined ? { name, labels } : { name, namespace, labels };
}

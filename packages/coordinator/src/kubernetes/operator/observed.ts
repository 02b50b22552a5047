import type { ServedStatus } from '../../served-status.js';
import type { KubeObject } from '../cluster/resources.js';
import { nameOf } from '../naming.js';
import { isSameQuantity } from '../quantity.js';
import type { TrainingJob } from '../training-job.js';
import type { TrainingJobStatus } from './status.js';

/** A TrainingJob as the API server has it. */
export interface TrainingJobResource extends KubeObject {
  readonly metadata: KubeObject['metadata'] & { readonly namespace: string; readonly uid: string };
  readonly status?: TrainingJobStatus;
}

/** What the coordinator said at `/status`; `unasked` where there was nobody to ask. */
export type Answer =
  | { readonly kind: 'unasked' }
  | { readonly kind: 'silent'; readonly detail: string }
  | { readonly kind: 'said'; readonly status: ServedStatus };

/** All that a decision about a TrainingJob rests on. */
export interface Observed {
  readonly resource: TrainingJobResource;
  /** Objects of the kinds that a job has, with its labels. */
  readonly objects: readonly KubeObject[];
  readonly coordinatorPod: KubeObject | null;
  /** Workers' pods that wait or have failed. */
  readonly idleWorkers: readonly KubeObject[];
  /** Pods of nats-server and of shards that wait or have failed. */
  readonly idleServers: readonly KubeObject[];
  /** Warnings of the namespace that Kubernetes' Events tell, looked for while something is missing. */
  readonly warnings: readonly KubeObject[];
  readonly answer: Answer;
  readonly now: Date;
}

/** What of a Job of Kubernetes is looked at. */
export interface WorkersJob {
  readonly active: number;
  readonly parallelism: number;
  /** Null: it is at work. */
  readonly end: { readonly type: 'Complete' | 'Failed'; readonly reason: string; readonly message: string } | null;
}

/** The workers' Job among a job's objects. */
export const findWorkers = (job: Pick<TrainingJob, 'name'>, objects: readonly KubeObject[]): KubeObject | undefined =>
  objects.find(({ kind, metadata }) => kind === 'Job' && metadata.name === nameOf(job, 'worker'));

export function workersJobOf(object: KubeObject | undefined): WorkersJob | null {
  if (object === undefined) return null;
  const { spec, status } = object as {
    spec?: { parallelism?: number };
    status?: {
      active?: number;
      conditions?: { type: string; status: string; reason?: string; message?: string }[];
    };
  };
  const end = status?.conditions?.find(
    (condition) => ['Complete', 'Failed'].includes(condition.type) && condition.status === 'True',
  );
  return {
    active: status?.active ?? 0,
    parallelism: spec?.parallelism ?? 0,
    end:
      end === undefined
        ? null
        : { type: end.type as 'Complete' | 'Failed', reason: end.reason ?? '', message: end.message ?? '' },
  };
}

/** Where the pod answers; null while it has no address, and when it is on its way out. */
export function addressOf(pod: KubeObject | null): string | null {
  if (pod === null || pod.metadata.deletionTimestamp !== undefined) return null;
  return (pod['status'] as { readonly podIP?: string } | undefined)?.podIP ?? null;
}

/**
 * Whether the object has every value that is wanted of it, quantities by their amount; what the API server adds is not
 * looked at.
 */
export function isAsWanted(object: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return (
      Array.isArray(object) &&
      object.length === wanted.length &&
      wanted.every((value, index) => isAsWanted(object[index], value))
    );
  if (typeof wanted === 'object' && wanted !== null)
    return (
      typeof object === 'object' &&
      object !== null &&
      Object.entries(wanted).every(([name, value]) => isAsWanted((object as Record<string, unknown>)[name], value))
    );
  return object === wanted || isSameQuantity(object, wanted);
}

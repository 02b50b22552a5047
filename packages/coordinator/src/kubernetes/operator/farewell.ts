import type { KubeObject } from '../cluster/resources.js';
import { workersJobOf, type TrainingJobResource } from './observed.js';

/** Holds a TrainingJob that is deleted, and so all that it owns, until its coordinator has saved. */
export const saveFinalizer = 'showtell.dev/save';

/** Kubernetes' own, of a deletion that leaves what the job owns where it is. */
const orphanFinalizer = 'orphan';

/** Beyond a pod's grace period: time for the kubelet to end it and to say so. */
const marginSeconds = 60;

/** Of the coordinator's pod, where its own is not known. */
const usualGraceSeconds = 300;

/** All that the farewell of a deleted TrainingJob rests on. */
export interface Departing {
  readonly resource: TrainingJobResource;
  /** The StatefulSet of the coordinator, whosever it is. */
  readonly coordinator: KubeObject | null;
  /** The workers' Job, whosever it is. */
  readonly workers: KubeObject | null;
  readonly coordinatorPod: KubeObject | null;
  /** Since when this operator could have told the pod to end. */
  readonly since: Date;
  readonly now: Date;
}

/** What is to be done about a TrainingJob that is deleted. */
export interface Farewell {
  /** Fields of objects that end pods: workers', which send no more, and the coordinator's, which saves. */
  readonly stop: readonly { readonly object: KubeObject; readonly spec: object }[];
  /** Whether nothing is to be waited for any more. */
  readonly released: boolean;
  /** Whether the pod has outlived its time, as on a node that is lost. */
  readonly overdue: boolean;
}

export const hasSaveFinalizer = ({ metadata }: KubeObject): boolean =>
  metadata.finalizers?.includes(saveFinalizer) === true;

/**
 * The coordinator's pod is told to end while nats-server and the shards of the parameter server, from which it reads what it
 * saves, are there; the job is let go when the pod is gone, or its grace period is over by a minute.
 */
export function farewell({ resource, coordinator, workers, coordinatorPod, since, now }: Departing): Farewell {
  const { uid, finalizers = [] } = resource.metadata;
  if (finalizers.includes(orphanFinalizer)) return { stop: [], released: true, overdue: false };
  const isOwn = (object: KubeObject | null): object is KubeObject =>
    object?.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
  const specOf = (object: KubeObject) => object['spec'] as { readonly replicas?: number; readonly suspend?: boolean };
  const stop = [
    ...(isOwn(workers) && workersJobOf(workers)?.end === null && specOf(workers).suspend !== true
      ? [{ object: workers, spec: { suspend: true } }]
      : []),
    ...(isOwn(coordinator) && specOf(coordinator).replicas !== 0
      ? [{ object: coordinator, spec: { replicas: 0 } }]
      : []),
  ];
  const overdue = now.getTime() >= latest(coordinatorPod, since);
  // Without a StatefulSet, as where what is owned is deleted first, the pod is still the one that saves.
  const isOthers = coordinator !== null && !isOwn(coordinator);
  const isStill = stop.length === 0 && (coordinatorPod === null || isOthers);
  return { stop, released: isStill || overdue, overdue: overdue && !isStill };
}

/** The time from which on the pod is not waited for. */
function latest(pod: KubeObject | null, since: Date): number {
  const { terminationGracePeriodSeconds: grace = usualGraceSeconds } = (pod?.['spec'] ?? {}) as {
    readonly terminationGracePeriodSeconds?: number;
  };
  // The deletionTimestamp of a pod is the end of its grace period.
  const { deletionTimestamp } = pod?.metadata ?? {};
  const end = deletionTimestamp === undefined ? since.getTime() + grace * 1000 : Date.parse(deletionTimestamp);
  return end + marginSeconds * 1000;
}

import type { ServedStatus } from '../../served-status.js';
import type { KubeObject } from '../cluster/resources.js';
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

interface PodStatus {
  readonly phase?: string;
  readonly podIP?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  readonly containerStatuses?: readonly {
    readonly state?: {
      readonly waiting?: { readonly reason?: string; readonly message?: string };
      readonly terminated?: { readonly reason?: string; readonly exitCode?: number };
    };
  }[];
}

const statusOf = (pod: KubeObject): PodStatus => pod['status'] ?? {};

/** Where the pod answers; null while it has no address, and when it is on its way out. */
export function addressOf(pod: KubeObject | null): string | null {
  if (pod === null || pod.metadata.deletionTimestamp !== undefined) return null;
  return statusOf(pod).podIP ?? null;
}

/** Why a pod does not work yet, in Kubernetes' own words. */
export function troubleOf(pod: KubeObject | null): string {
  if (pod === null) return 'The coordinator has no pod yet.';
  const { conditions = [], containerStatuses = [], phase = 'Pending' } = statusOf(pod);
  for (const { state } of containerStatuses) {
    if (state?.waiting !== undefined)
      return [`The coordinator's container waits: ${state.waiting.reason ?? ''}`, state.waiting.message]
        .filter((part) => part !== undefined)
        .join(': ');
    if (state?.terminated !== undefined)
      return `The coordinator's container ended with exit code ${state.terminated.exitCode ?? -1}.`;
  }
  const unscheduled = conditions.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  if (unscheduled?.message !== undefined) return `The coordinator's pod has no node: ${unscheduled.message}`;
  return phase === 'Running' ? 'The coordinator starts.' : `The coordinator's pod is ${phase}.`;
}

/** Whether the object has every value that is wanted of it; what the API server adds is not looked at. */
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
  return object === wanted;
}

import { toldToLeave } from '@showtell/shared/service/worker-exit.js';
import type { KubeObject } from '../cluster/resources.js';

interface Terminated {
  readonly reason?: string;
  readonly exitCode?: number;
  /** The end of its log: `terminationMessagePolicy` is FallbackToLogsOnError. */
  readonly message?: string;
  readonly finishedAt?: string;
}

interface Waiting {
  readonly reason?: string;
  readonly message?: string;
}

interface PodStatus {
  readonly phase?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  readonly containerStatuses?: readonly {
    readonly state?: {
      readonly waiting?: Waiting;
      readonly terminated?: Terminated;
    };
    readonly lastState?: { readonly terminated?: Terminated };
  }[];
}

const statusOf = (pod: KubeObject): PodStatus => pod['status'] ?? {};

/** A failure of a worker is told for so long: its pod stays until the Job ends. */
const recentMs = 600_000;

/**
 * Why the coordinator does not work yet, in its own words or Kubernetes'.
 * @param set its StatefulSet
 * @param warnings Events of the namespace
 */
export function coordinatorTrouble(
  pod: KubeObject | null,
  set: KubeObject | undefined,
  warnings: readonly KubeObject[],
): string {
  if (pod === null) {
    const refusal = warningOf(set, warnings);
    return refusal === null ? 'The coordinator has no pod yet.' : `The coordinator has no pod: ${refusal.message}`;
  }
  const { containerStatuses = [], phase = 'Pending' } = statusOf(pod);
  const unscheduled = nodeTrouble(pod);
  if (unscheduled !== null) return `The coordinator's pod has no node: ${unscheduled}`;
  for (const { state, lastState } of containerStatuses) {
    const { terminated: ended = lastState?.terminated } = state ?? {};
    const why = ended === undefined ? '' : ` It ${endText(ended, 'coordinator')}`;
    if (state?.waiting !== undefined)
      return `The coordinator's container waits: ${waitText(state.waiting, warningOf(pod, warnings))}.${why}`;
    if (ended !== undefined) return `The coordinator's container starts anew.${why}`;
  }
  return phase === 'Running' ? 'The coordinator starts.' : `The coordinator's pod is ${phase}.`;
}

/**
 * What keeps workers from their work; empty: nothing that is known.
 * @param pods those that wait or have failed
 * @param job their Job
 * @param warnings Events of the namespace
 */
export function workerTrouble(
  pods: readonly KubeObject[],
  job: KubeObject | undefined,
  warnings: readonly KubeObject[],
  now: Date,
): string {
  const told = pods.flatMap((pod) => {
    const [text, since] = troubleOf(pod, warnings, now) ?? [];
    return text === undefined ? [] : [{ text: `${pod.metadata.name} ${text}`, since: since ?? 0 }];
  });
  const refusal = warningOf(job, warnings);
  if (refusal !== null && now.getTime() - refusal.at < recentMs)
    told.push({ text: `its pod is not made: ${refusal.message}`, since: refusal.at });
  const newest = told.sort((a, b) => b.since - a.since)[0];
  if (newest === undefined) return '';
  const others = told.length === 1 ? '' : ` (and ${told.length - 1} more)`;
  return `A worker is missing: ${newest.text}${others}`;
}

/** What keeps nats-server and shards, which the coordinator waits for, from their work; empty: nothing that is known. */
export function serverTrouble(pods: readonly KubeObject[], warnings: readonly KubeObject[]): string {
  return pods
    .flatMap((pod) => {
      const unscheduled = nodeTrouble(pod);
      const warning = warningOf(pod, warnings);
      const [waiting] = (statusOf(pod).containerStatuses ?? []).flatMap(({ state }) => state?.waiting ?? []);
      if (unscheduled !== null) return [`${pod.metadata.name} has no node: ${unscheduled}`];
      if (waiting === undefined || (isUsual(waiting) && warning === null)) return [];
      return [`${pod.metadata.name} waits: ${waitText(waiting, warning)}.`];
    })
    .join('\n');
}

/** Reasons of Events that say why a pod is not there or does not start. */
const telling = ['FailedMount', 'FailedAttachVolume', 'FailedCreate', 'FailedScheduling', 'FailedCreatePodSandBox'];

/** The last Event that says why an object does not come to be. */
function warningOf(
  object: KubeObject | undefined,
  warnings: readonly KubeObject[],
): { readonly message: string; readonly at: number } | null {
  const { uid } = object?.metadata ?? {};
  if (uid === undefined) return null;
  const told = warnings.flatMap((warning) => {
    const { involvedObject, reason = '', message = '', ...times } = warning as EventFields;
    if (involvedObject?.uid !== uid || !telling.includes(reason)) return [];
    const at = times.series?.lastObservedTime ?? times.lastTimestamp ?? times.eventTime ?? '';
    return [{ message: message.trim(), at: Date.parse(at) || 0 }];
  });
  return told.sort((a, b) => b.at - a.at)[0] ?? null;
}

interface EventFields {
  readonly involvedObject?: { readonly uid?: string };
  readonly reason?: string;
  readonly message?: string;
  readonly series?: { readonly lastObservedTime?: string };
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
}

function troubleOf(pod: KubeObject, warnings: readonly KubeObject[], now: Date): [text: string, since: number] | null {
  const { containerStatuses = [], phase, reason, message } = statusOf(pod);
  const began = Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
  const unscheduled = nodeTrouble(pod);
  if (unscheduled !== null) return [`has no node: ${unscheduled}`, began];
  for (const { state } of containerStatuses) {
    const warning = warningOf(pod, warnings);
    if (state?.waiting !== undefined && (!isUsual(state.waiting) || warning !== null))
      return [`waits: ${waitText(state.waiting, warning)}.`, began];
    const ended = state?.terminated;
    if (ended === undefined || ended.exitCode === 0 || ended.exitCode === toldToLeave) continue;
    const at = Date.parse(ended.finishedAt ?? '') || began;
    if (now.getTime() - at < recentMs) return [endText(ended, 'workers'), at];
  }
  // As when a node has no room left for its volumes.
  if (phase === 'Failed' && reason !== undefined && now.getTime() - began < recentMs)
    return [`was ended: ${reason}: ${message ?? ''}`, began];
  return null;
}

const nodeTrouble = (pod: KubeObject): string | null =>
  (statusOf(pod).conditions ?? []).find(({ type, status }) => type === 'PodScheduled' && status === 'False')?.message ??
  null;

/** Of which the container's state says no more than that. */
const isUsual = ({ reason }: Waiting): boolean => reason === 'ContainerCreating';

/** @param warning what an Event says of the pod, where the state says nothing */
const waitText = (waiting: Waiting, warning: { readonly message: string } | null): string =>
  [waiting.reason, waiting.message ?? (isUsual(waiting) ? warning?.message : undefined)]
    .filter((part) => part !== undefined)
    .join(': ');

function endText({ reason, exitCode = -1, message = '' }: Terminated, role: 'coordinator' | 'workers'): string {
  if (reason === 'OOMKilled')
    return `was ended because it took more memory than it may have: spec.resources.${role}.memory.`;
  const said = message.trim().split('\n').slice(-3).join('\n');
  return `ended with exit code ${exitCode}${said === '' ? '.' : `: ${said}`}`;
}

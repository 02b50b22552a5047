import { toldToLeave } from '@showtell/shared/service/worker-exit.js';
import type { KubeObject } from '../cluster/resources.js';

interface Terminated {
  readonly reason?: string;
  readonly exitCode?: number;
  /** The end of its log: `terminationMessagePolicy` is FallbackToLogsOnError. */
  readonly message?: string;
  readonly finishedAt?: string;
}

interface PodStatus {
  readonly phase?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  readonly containerStatuses?: readonly {
    readonly state?: {
      readonly waiting?: { readonly reason?: string; readonly message?: string };
      readonly terminated?: Terminated;
    };
    readonly lastState?: { readonly terminated?: Terminated };
  }[];
}

const statusOf = (pod: KubeObject): PodStatus => pod['status'] ?? {};

/** A failure of a worker is told for so long: its pod stays until the Job ends. */
const recentMs = 600_000;

/** Why the coordinator does not work yet, in its own words or Kubernetes'. */
export function coordinatorTrouble(pod: KubeObject | null): string {
  if (pod === null) return 'The coordinator has no pod yet.';
  const { containerStatuses = [], phase = 'Pending' } = statusOf(pod);
  const unscheduled = nodeTrouble(pod);
  if (unscheduled !== null) return `The coordinator's pod has no node: ${unscheduled}`;
  for (const { state, lastState } of containerStatuses) {
    const { terminated: ended = lastState?.terminated } = state ?? {};
    const why = ended === undefined ? '' : ` It ${endText(ended, 'coordinator')}`;
    if (state?.waiting !== undefined) return `The coordinator's container waits: ${waitText(state.waiting)}.${why}`;
    if (ended !== undefined) return `The coordinator's container starts anew.${why}`;
  }
  return phase === 'Running' ? 'The coordinator starts.' : `The coordinator's pod is ${phase}.`;
}

/**
 * What keeps workers from their work; empty: nothing that is known.
 * @param pods those that wait or have failed
 */
export function workerTrouble(pods: readonly KubeObject[], now: Date): string {
  const told = pods.flatMap((pod) => {
    const [text, since] = troubleOf(pod, now) ?? [];
    return text === undefined ? [] : [{ text: `${pod.metadata.name} ${text}`, since: since ?? 0 }];
  });
  const newest = told.sort((a, b) => b.since - a.since)[0];
  if (newest === undefined) return '';
  const others = told.length === 1 ? '' : ` (and ${told.length - 1} more)`;
  return `A worker is missing: ${newest.text}${others}`;
}

function troubleOf(pod: KubeObject, now: Date): [text: string, since: number] | null {
  const { containerStatuses = [], phase, reason, message } = statusOf(pod);
  const began = Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
  const unscheduled = nodeTrouble(pod);
  if (unscheduled !== null) return [`has no node: ${unscheduled}`, began];
  for (const { state } of containerStatuses) {
    if (state?.waiting !== undefined && state.waiting.reason !== 'ContainerCreating')
      return [`waits: ${waitText(state.waiting)}.`, began];
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

const waitText = ({ reason, message }: { readonly reason?: string; readonly message?: string }): string =>
  [reason, message].filter((part) => part !== undefined).join(': ');

function endText({ reason, exitCode = -1, message = '' }: Terminated, role: 'coordinator' | 'workers'): string {
  if (reason === 'OOMKilled')
    return `was ended because it took more memory than it may have: spec.resources.${role}.memory.`;
  const said = message.trim().split('\n').slice(-3).join('\n');
  return `ended with exit code ${exitCode}${said === '' ? '.' : `: ${said}`}`;
}

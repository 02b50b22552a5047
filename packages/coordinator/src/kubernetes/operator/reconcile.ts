import type { KubeObject } from '../cluster/resources.js';
import type { Manifest } from '../manifest.js';
import { nameOf, selectorOf } from '../naming.js';
import { selectorText } from '../cluster/resources.js';
import type { TrainingJob } from '../training-job.js';
import { wantedObjects } from './wanted-objects.js';
import { acceptedJob } from './job-change.js';
import { findWorkers, workersJobOf, type Observed, type WorkersJob } from './observed.js';
import { coordinatorTrouble, serverTrouble, workerTrouble } from './pod-trouble.js';
import { camel, endOf, runFields, timeText } from './run-fields.js';
import { conditionOf, isTrue, withFindings, type ConditionType, type Finding } from './status.js';
import type { JobPhase, TrainingJobStatus } from './status.js';

/** Something that happened, for `kubectl describe`. */
export interface Happening {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** What is to be done about a TrainingJob: the status is written first, so that no outcome is lost with its coordinator. */
export interface Decision {
  readonly status: TrainingJobStatus;
  readonly events: readonly Happening[];
  readonly apply: readonly Manifest[];
  readonly remove: readonly KubeObject[];
  /** To be told once the workers' Job has been applied; null: as many workers are there as are asked for. */
  readonly scaled: Happening | null;
  /** What the condition `Applied` says instead, once that is done; null: that all is as asked. */
  readonly refusal: Finding | null;
  /** Whether the TrainingJob itself is to go, its time after the end being over. */
  readonly expired: boolean;
  /** When to look again though nothing changes; null: never. */
  readonly againInSeconds: number | null;
}

/** How long workers may take to learn that the run is complete before their pods are ended. */
const farewellSeconds = 120;

/**
 * What a TrainingJob asks for, against what there is: level-triggered, so that it matters only how things stand, not how
 * they came to be so.
 * @param asked what the TrainingJob's spec says
 * @param pollSeconds how often a coordinator at work is asked
 */
export function reconcile(asked: TrainingJob, observed: Observed, pollSeconds: number): Decision {
  const { resource, now } = observed;
  const { job, refusal } = acceptedJob(asked, observed);
  const before = resource.status ?? {};
  const workers = workersJobOf(findWorkers(job, observed.objects));
  const start = startTime(job, before, now);
  const found = findings(job, observed, workers, start);
  const generation = resource.metadata.generation ?? 0;
  const status: TrainingJobStatus = {
    ...progress(observed),
    phase: found.phase,
    workers: workers?.active ?? 0,
    selector: selectorText(selectorOf(job, 'worker')),
    observedGeneration: generation,
    ...(start === undefined ? {} : { startTime: start }),
    ...(found.ended ? { completionTime: before.completionTime ?? timeText(now) } : {}),
    conditions: withFindings(before, found.conditions, generation, timeText(now)),
  };
  const wasEnded = isEnded(before);
  const wanted = wantedObjects(job, observed, {
    // An end that is not written down yet changes nothing: the coordinator is the one who knows it.
    still: wasEnded ? 'ended' : job.spec.suspend ? 'suspended' : null,
    // Until their Job has ended, not only their pods: suspended a moment before it would never be complete.
    // Of a suspended job there are none.
    waitsForWorkers: isTrue(before, 'Complete') && !job.spec.suspend && workers?.end === null && !isOver(before, now),
    workersEnded: workers !== null && workers.end !== null,
  });
  const left = timeLeft(job, status, now);
  return {
    status,
    events: happenings(before, status),
    scaled: scaled(status, workers, job),
    ...wanted,
    refusal,
    expired: wasEnded && left !== null && left <= 0,
    againInSeconds:
      found.ended !== wasEnded
        ? 0
        : soonest(
            left,
            wasEnded && !wanted.busy ? null : pollSeconds,
            found.phase === 'Suspended' ? null : pollSeconds,
          ),
  };
}

const isEnded = (status: TrainingJobStatus): boolean => isTrue(status, 'Complete') || isTrue(status, 'Failed');

const isOver = ({ completionTime }: TrainingJobStatus, now: Date): boolean =>
  completionTime !== undefined && now.getTime() - Date.parse(completionTime) > farewellSeconds * 1000;

interface Findings {
  readonly phase: JobPhase;
  readonly ended: boolean;
  readonly conditions: Partial<Record<ConditionType, Finding>>;
}

const no = (reason: string, message = ''): Finding => ({ status: 'False', reason, message });
const yes = (reason: string, message = ''): Finding => ({ status: 'True', reason, message });

function findings(
  job: TrainingJob,
  observed: Observed,
  workers: WorkersJob | null,
  start: string | undefined,
): Findings {
  const before = observed.resource.status ?? {};
  if (isEnded(before)) {
    const phase = isTrue(before, 'Complete') ? 'Succeeded' : 'Failed';
    return { phase, ended: true, conditions: { Running: no('Ended'), Suspended: no('Ended') } };
  }
  const end = newEnd(job, observed, workers, start);
  if (end !== null)
    return {
      phase: end.type === 'Complete' ? 'Succeeded' : 'Failed',
      ended: true,
      conditions: { [end.type]: end.finding, Running: no('Ended'), Suspended: no('Ended') },
    };
  if (job.spec.suspend) {
    const isStill = observed.coordinatorPod === null && (workers?.active ?? 0) === 0;
    const running = no('Suspended', isStill ? '' : 'A checkpoint is saved and the pods end.');
    return {
      phase: isStill ? 'Suspended' : 'Stopping',
      ended: false,
      conditions: { Running: running, Suspended: yes('Suspended', 'spec.suspend is true.') },
    };
  }
  return { ended: false, ...atWork(job, observed) };
}

/**
 * An end that the status does not tell yet.
 * @param start from which the deadline counts
 */
function newEnd(
  job: TrainingJob,
  { answer, now }: Observed,
  workers: WorkersJob | null,
  start: string | undefined,
): ReturnType<typeof endOf> {
  const said = answer.kind === 'said' ? endOf(answer.status) : null;
  if (said !== null) return said;
  const failed = (reason: string, message: string) => ({ type: 'Failed' as const, finding: yes(reason, message) });
  if (workers?.end?.type === 'Failed')
    return failed(workers.end.reason, `The workers' Job failed: ${workers.end.message}`);
  const { activeDeadlineSeconds: limit, suspend } = job.spec;
  if (limit !== undefined && !suspend && start !== undefined && now.getTime() - Date.parse(start) >= limit * 1000)
    return failed('DeadlineExceeded', `It was not done within ${limit} s, spec.activeDeadlineSeconds.`);
  return null;
}

/** A job that is to be at work: whether it is. */
function atWork(job: TrainingJob, observed: Observed): Omit<Findings, 'ended'> {
  const { answer, objects, coordinatorPod, idleWorkers, idleServers, warnings, resource, now } = observed;
  const Suspended = no('NotSuspended');
  if (answer.kind === 'said') {
    const { state } = answer.status;
    if (state === 'training') {
      const Running = yes('Training', workerTrouble(idleWorkers, findWorkers(job, objects), warnings, now));
      return { phase: 'Running', conditions: { Running, Suspended } };
    }
    if (state === 'waiting') {
      const { reason = 'data', message = '' } = answer.status.waiting ?? {};
      return { phase: 'Pending', conditions: { Running: no(camel(reason), message), Suspended } };
    }
    if (state === 'paused')
      return { phase: 'Running', conditions: { Running: no('Paused', 'A person has paused it.'), Suspended } };
    const message = 'A person has stopped it; suspend it and take that back to go on.';
    return {
      phase: 'Suspended',
      conditions: { Running: no('Stopped', message), Suspended: yes('Stopped', message) },
    };
  }
  if (answer.kind === 'silent' && resource.status?.phase === 'Running') {
    const Running = { status: 'Unknown', reason: 'CoordinatorSilent', message: answer.detail } as const;
    return { phase: 'Running', conditions: { Running, Suspended } };
  }
  const name = nameOf(job, 'coordinator');
  const set = objects.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === name);
  // What the coordinator waits for may be the reason why it does not answer.
  const trouble = [coordinatorTrouble(coordinatorPod, set, warnings), serverTrouble(idleServers, warnings)];
  const Running = no('Starting', trouble.filter((text) => text !== '').join('\n'));
  return { phase: 'Pending', conditions: { Running, Suspended } };
}

/** What is shown of the run; what was known stays while nobody says more, speed and end of a run at work aside. */
function progress({ answer, resource, now }: Observed): TrainingJobStatus {
  const known = { ...resource.status };
  if (answer.kind === 'silent') return known;
  delete known.imagesPerSecond;
  delete known.estimatedEnd;
  return answer.kind === 'said' ? { ...known, ...runFields(answer.status, now) } : known;
}

/** As a Job of Kubernetes has it: reset when it is resumed. */
function startTime(job: TrainingJob, before: TrainingJobStatus, now: Date): string | undefined {
  const resumed = conditionOf(before, 'Suspended')?.reason === 'Suspended' && !isEnded(before);
  if (job.spec.suspend || (before.startTime !== undefined && !resumed)) return before.startTime;
  return timeText(now);
}

/** Seconds until the deadline, or after the end until the job is to go; null: for ever. */
function timeLeft({ spec }: TrainingJob, status: TrainingJobStatus, now: Date): number | null {
  const { completionTime, startTime: start } = status;
  const [from, limit] =
    completionTime === undefined
      ? [spec.suspend ? undefined : start, spec.activeDeadlineSeconds]
      : [completionTime, spec.ttlSecondsAfterFinished];
  if (from === undefined || limit === undefined) return null;
  return limit - (now.getTime() - Date.parse(from)) / 1000;
}

function soonest(left: number | null, ...others: (number | null)[]): number | null {
  const poll = others.includes(null) ? null : Math.min(...(others as number[]));
  if (left === null) return poll;
  return Math.max(0, Math.min(left, poll ?? Infinity));
}

function happenings(before: TrainingJobStatus, after: TrainingJobStatus): Happening[] {
  const events: Happening[] = [];
  const normal = (reason: string, message: string) => events.push({ type: 'Normal', reason, message });
  const at = after.step === undefined ? '' : ` at step ${after.step}`;
  if (after.phase !== before.phase)
    switch (after.phase) {
      case 'Running':
        normal('Running', `Trains${at}.`);
        break;
      case 'Suspended':
        normal('Suspended', `Stands still${at}.`);
        break;
      case 'Succeeded':
        normal('Succeeded', `Complete${at}. ${conditionOf(after, 'Complete')?.message ?? ''}`.trim());
        break;
      case 'Failed': {
        const { reason, message } = conditionOf(after, 'Failed') ?? { reason: 'Failed', message: '' };
        events.push({ type: 'Warning', reason, message });
        break;
      }
      case 'Stopping':
      case 'Pending':
      case undefined:
        break;
    }
  if (before.trainingPhase === 'decoder-only' && after.trainingPhase === 'joint')
    normal('JointPhase', `The joint phase began${at}.`);
  const trouble = (status: TrainingJobStatus): string | undefined => {
    const running = conditionOf(status, 'Running');
    return running?.reason === 'Training' ? running.message : undefined;
  };
  const lacking = trouble(after);
  if (lacking !== undefined && lacking !== '' && lacking !== trouble(before))
    events.push({ type: 'Warning', reason: 'WorkerMissing', message: lacking });
  return events;
}

function scaled(after: TrainingJobStatus, workers: WorkersJob | null, job: TrainingJob): Happening | null {
  const { replicas } = job.spec.workers;
  if (workers?.end !== null || isEnded(after) || workers.parallelism === replicas) return null;
  return { type: 'Normal', reason: 'Scaled', message: `Workers: ${replicas}, from ${workers.parallelism}.` };
}

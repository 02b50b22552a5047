import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@showtell/shared/service/log.js';
import type { ServedStatus } from '../../served-status.js';
import { ApiFailure } from '../cluster/api-failure.js';
import { refOf, type Cluster } from '../cluster/cluster.js';
import { selectorText, type Kind, type KubeObject, type Ref } from '../cluster/resources.js';
import type { Manifest } from '../manifest.js';
import { metadataOf, nameOf, ports, type Role } from '../naming.js';
import { renderJob } from '../render.js';
import { parseTrainingJob, type TrainingJob } from '../training-job.js';
import type { OperatorMetrics } from './metrics.js';
import { objectKinds } from './object-kinds.js';
import { farewell, hasSaveFinalizer, saveFinalizer } from './farewell.js';
import {
  addressOf,
  findWorkers,
  workersJobOf,
  type Answer,
  type Observed,
  type TrainingJobResource,
} from './observed.js';
import { reconcile, type Decision, type Happening } from './reconcile.js';
import { timeText } from './run-fields.js';
import { conditionOf, jobPhases, withFindings, type Finding, type JobPhase, type TrainingJobStatus } from './status.js';
import { isOfJob, podsOf, strangers } from './wanted-objects.js';
import { WorkQueue } from './work-queue.js';

export interface OperatorOptions {
  /** The one to look after; null: all of them. */
  readonly namespace: string | null;
  /** How often a coordinator at work is asked. */
  readonly pollSeconds: number;
}

/** A coordinator that takes longer is silent. */
const answerMs = 5_000;

/** An object that was refused is applied again after so long. */
const refusedAgainSeconds = 10;

/** Every job is looked at this often, whatever was heard of it. */
const resyncSeconds = 600;

/**
 * Acts on TrainingJobs: looks at one whenever it or an object of it has changed, and a coordinator at work is to be
 * asked; what to do is {@link reconcile}'s to say.
 */
export class Operator {
  private readonly phases = new Map<string, JobPhase>();
  private begun = new Date();

  constructor(
    private readonly cluster: Cluster,
    private readonly metrics: OperatorMetrics,
    private readonly log: Logger,
    private readonly options: OperatorOptions,
  ) {}

  /** Works until it is told to end. */
  async run(signal: AbortSignal): Promise<void> {
    const { series } = this.metrics;
    this.begun = new Date();
    series.leader.set(1);
    const queue = new WorkQueue(
      async (key) => {
        const done = series.reconcileDuration.startTimer();
        const seconds = await this.look(key);
        done();
        series.reconciles.inc({ result: 'ok' });
        return seconds;
      },
      (key, error, pauseMs) => {
        series.reconciles.inc({ result: 'failed' });
        this.log.warn('a job could not be looked at', { job: key, pauseMs, error });
      },
    );
    const own = { 'app.kubernetes.io/name': 'showtell' };
    await Promise.all([
      this.follow('TrainingJob', undefined, queue, signal),
      this.follow('StatefulSet', selectorText(own), queue, signal),
      this.follow('Job', selectorText(own), queue, signal),
    ]);
    await queue.close();
    series.leader.set(0);
  }

  private async follow(kind: Kind, selector: string | undefined, queue: WorkQueue, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let heard = false;
      try {
        for await (const object of this.cluster.watch(kind, this.options.namespace, selector, signal)) {
          heard = true;
          const key = keyOf(object);
          if (key !== null) queue.add(key);
        }
      } catch (error) {
        if (!isAborted(signal)) this.log.warn('the API server could not be listened to', { kind, error });
      }
      await delay(heard ? 100 : 2_000, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One look at a job. @returns seconds until the next */
  async look(key: string): Promise<number | null> {
    const [namespace = '', name = ''] = key.split('/');
    const ref = { kind: 'TrainingJob', namespace, name } as const;
    const resource = (await this.cluster.get(ref)) as TrainingJobResource | null;
    this.count(key, resource);
    if (resource === null) return null;
    const { deletionTimestamp } = resource.metadata;
    if (deletionTimestamp !== undefined) return this.letGo(resource, deletionTimestamp);
    let job: TrainingJob;
    try {
      job = parseTrainingJob(resource, key);
    } catch (error) {
      await this.tell(resource, { status: resource.status ?? {}, events: [] }, refused('InvalidSpec', error));
      return null;
    }
    const observed = await this.observe(job, resource);
    const [stranger] = strangers(job, observed);
    if (stranger !== undefined) {
      await this.tell(resource, waiting(resource), nameTaken(stranger));
      return refusedAgainSeconds;
    }
    // Before anything is there that could have something to save.
    if (!hasSaveFinalizer(resource)) await this.setFinalizers(resource, (others) => [...others, saveFinalizer]);
    const decision = reconcile(job, observed, this.options.pollSeconds);
    if (decision.expired) {
      this.log.info('a job goes, its time after its end being over', { job: key });
      await this.cluster.delete(ref, resource.metadata.uid);
      return null;
    }
    const { outcome, events } =
      decision.againInSeconds === 0 ? { outcome: null, events: [] } : await this.act(decision, observed);
    await this.tell(resource, { ...decision, events: [...decision.events, ...events] }, outcome);
    if (outcome?.status === 'False' && outcome !== decision.refusal) return refusedAgainSeconds;
    return Math.min(decision.againInSeconds ?? resyncSeconds, resyncSeconds);
  }

  /**
   * Lets a deleted job go once its coordinator has saved; what it owns is the garbage collector's then.
   * @returns seconds until the next look
   */
  private async letGo(resource: TrainingJobResource, deletionTimestamp: string): Promise<number | null> {
    if (!hasSaveFinalizer(resource)) return null;
    const { name, namespace } = resource.metadata;
    const [coordinator, workers, coordinatorPod] = await Promise.all([
      this.cluster.get({ kind: 'StatefulSet', namespace, name: nameOf({ name }, 'coordinator') }),
      this.cluster.get({ kind: 'Job', namespace, name: nameOf({ name }, 'worker') }),
      this.cluster.get({ kind: 'Pod', namespace, name: `${nameOf({ name }, 'coordinator')}-0` }),
    ]);
    // An operator that was away when it was deleted gives the pod its whole time all the same.
    const since = new Date(Math.max(Date.parse(deletionTimestamp), this.begun.getTime()));
    const now = new Date();
    const { stop, released, overdue } = farewell({ resource, coordinator, workers, coordinatorPod, since, now });
    const job = `${namespace}/${name}`;
    for (const { object, spec } of stop) {
      try {
        await this.cluster.merge(refOf(object), { spec });
      } catch (error) {
        if (!(error instanceof ApiFailure)) throw error;
        // Gone meanwhile, or refused: the time that is waited has its bound.
        this.log.warn('an object of a deleted job could not be stopped', { job, object: object.metadata.name, error });
      }
    }
    if (!released) {
      const message = 'It is deleted: a checkpoint is saved, then all goes but the volume of its runs.';
      const Running = { status: 'False', reason: 'Deleted', message } as const;
      const status = resource.status ?? {};
      const conditions = withFindings(status, { Running }, resource.metadata.generation ?? 0, timeText(now));
      await this.tell(resource, { status: { ...status, phase: 'Stopping', conditions }, events: [] }, null);
      return this.options.pollSeconds;
    }
    if (overdue) this.log.warn("a deleted job goes though its coordinator's pod is still there", { job });
    else this.log.info('a deleted job goes', { job });
    await this.setFinalizers(resource, (others) => others.filter((each) => each !== saveFinalizer));
    return null;
  }

  /** Refused (409) when somebody has written the TrainingJob since it was read. */
  private async setFinalizers(
    resource: TrainingJobResource,
    change: (there: readonly string[]) => readonly string[],
  ): Promise<void> {
    const { resourceVersion, finalizers = [] } = resource.metadata;
    await this.cluster.merge(refOf(resource), { metadata: { resourceVersion, finalizers: change(finalizers) } });
  }

  private count(key: string, resource: TrainingJobResource | null): void {
    const phase = resource?.status?.phase;
    if (resource === null) this.phases.delete(key);
    else if (phase !== undefined) this.phases.set(key, phase);
    const all = [...this.phases.values()];
    for (const each of jobPhases)
      this.metrics.series.jobs.set({ phase: each }, all.filter((other) => other === each).length);
  }

  private async observe(job: TrainingJob, resource: TrainingJobResource): Promise<Observed> {
    const { namespace } = resource.metadata;
    const { labels } = metadataOf(job, job.name);
    const pod = { kind: 'Pod', namespace, name: `${nameOf(job, 'coordinator')}-0` } as const;
    const idle = 'status.phase!=Running,status.phase!=Succeeded';
    const [coordinatorPod, { items: idlePods }, ...lists] = await Promise.all([
      this.cluster.get(pod),
      this.cluster.list('Pod', namespace, selectorText(labels), idle),
      ...objectKinds.map((kind) => this.cluster.list(kind, namespace, selectorText(labels))),
    ]);
    const labelled = lists.flatMap(({ items }) => items);
    const objects = [...labelled, ...(await this.unlabelled(job, namespace, labelled))];
    const idleOf = (...roles: readonly Role[]): KubeObject[] =>
      idlePods.filter(({ metadata }) =>
        roles.some((role) => metadata.labels?.['app.kubernetes.io/component'] === role),
      );
    const answer = await this.ask(isOfJob(coordinatorPod, objects, resource) ? coordinatorPod : null);
    return {
      resource,
      objects,
      coordinatorPod,
      idleWorkers: idleOf('worker'),
      idleServers: idleOf('nats', 'ps'),
      warnings: await this.warnings(job, { answer, objects, idlePods }),
      answer,
      now: new Date(),
    };
  }

  /** Kubernetes' warnings in the job's namespace; none are asked for while nothing is missing. */
  private async warnings(
    job: TrainingJob,
    { answer, objects, idlePods }: Pick<Observed, 'answer' | 'objects'> & { readonly idlePods: readonly KubeObject[] },
  ): Promise<readonly KubeObject[]> {
    const workers = workersJobOf(findWorkers(job, objects));
    const lacksWorkers = workers !== null && workers.end === null && workers.active < workers.parallelism;
    if (answer.kind === 'said' && idlePods.length === 0 && !lacksWorkers) return [];
    const { namespace = null } = job;
    try {
      return (await this.cluster.list('Event', namespace, undefined, 'type=Warning')).items;
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error;
      // They only say why: an operator with the rights of an earlier version does all else.
      this.log.debug('Events could not be read', { job: `${namespace ?? ''}/${job.name}`, error });
      return [];
    }
  }

  /** Objects that have a name of the job's but not its labels, so that no list has them. */
  private async unlabelled(
    job: TrainingJob,
    namespace: string,
    labelled: readonly KubeObject[],
  ): Promise<KubeObject[]> {
    const lacking = renderJob(job).filter(
      ({ kind, metadata: { name } }) =>
        !labelled.some((object) => object.kind === kind && object.metadata.name === name),
    );
    const found = await Promise.all(
      lacking.map(({ kind, metadata: { name } }) => this.cluster.get({ kind: kind as Kind, namespace, name })),
    );
    return found.filter((object) => object !== null);
  }

  private async ask(pod: KubeObject | null): Promise<Answer> {
    const address = addressOf(pod);
    if (address === null) return { kind: 'unasked' };
    const host = address.includes(':') ? `[${address}]` : address;
    try {
      const signal = AbortSignal.timeout(answerMs);
      const response = await fetch(`http://${host}:${ports.coordinatorHttp}/status`, { signal });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const status = (await response.json()) as ServedStatus;
      this.metrics.series.answers.inc({ result: 'said' });
      return { kind: 'said', status };
    } catch (error) {
      this.metrics.series.answers.inc({ result: 'silent' });
      const { cause, message } = error as Error;
      return { kind: 'silent', detail: cause instanceof Error ? cause.message : message };
    }
  }

  /**
   * Does what can be done: one object that the API server does not take holds up no other.
   * @returns whether the objects are as the job asks, by the first one that is not
   */
  private async act(
    { apply, remove, refusal, scaled }: Decision,
    { objects }: Observed,
  ): Promise<{ readonly outcome: Finding; readonly events: readonly Happening[] }> {
    const failures: { readonly kind: string | undefined; readonly error: ApiFailure }[] = [];
    const attempt = async (kind: string | undefined, done: Promise<unknown>): Promise<void> => {
      try {
        await done;
      } catch (error) {
        if (!(error instanceof ApiFailure)) throw error;
        failures.push({ kind, error });
      }
    };
    for (const manifest of apply) await attempt(manifest.kind, this.apply(manifest, objects));
    for (const object of remove) await attempt(object.kind, this.cluster.delete(refOf(object), object.metadata.uid));
    const [first] = failures;
    const outcome = first === undefined ? null : refused('ApplyFailed', first.error);
    return {
      outcome: outcome ?? refusal ?? { status: 'True', reason: 'Applied', message: '' },
      events: scaled === null || failures.some(({ kind }) => kind === 'Job') ? [] : [scaled],
    };
  }

  private async apply(manifest: Manifest, objects: readonly KubeObject[]): Promise<void> {
    const { series } = this.metrics;
    const { kind } = manifest;
    try {
      await this.cluster.apply(manifest, { force: true });
      series.objectsApplied.inc({ kind, result: 'ok' });
    } catch (error) {
      series.objectsApplied.inc({ kind, result: 'failed' });
      const there = objects.find((object) => object.kind === kind && object.metadata.name === manifest.metadata.name);
      if (there === undefined || !(error instanceof ApiFailure) || error.status !== 422) throw error;
      const fault = kind === 'Job' ? await this.faultOf(manifest) : error;
      if (fault === null) {
        // A Job's pods cannot be changed; workers keep nothing, so that they can be made anew.
        this.log.info('workers are made anew, since their pods are to be others', { job: manifest.metadata.name });
        await this.cluster.delete(refOf(there), there.metadata.uid);
        throw error;
      }
      const pods = podsOf(manifest);
      if (pods !== null) await this.cluster.merge(refOf(there), { spec: pods });
      throw fault;
    }
  }

  /** Why the API server would not take the object, were there none of its name; null: it would. */
  private async faultOf(manifest: Manifest): Promise<ApiFailure | null> {
    try {
      await this.cluster.check(manifest);
      return null;
    } catch (error) {
      if (error instanceof ApiFailure) return error;
      throw error;
    }
  }

  private async tell(
    resource: TrainingJobResource,
    { status, events }: Pick<Decision, 'status' | 'events'>,
    applied: Finding | null,
  ): Promise<void> {
    const before = resource.status ?? {};
    const now = timeText(new Date());
    const findings = applied === null ? {} : { Applied: applied };
    const others = withFindings(status, findings, resource.metadata.generation ?? 0, now);
    const after: TrainingJobStatus = { ...status, conditions: others };
    if (JSON.stringify(sorted(before)) !== JSON.stringify(sorted(after)))
      await this.cluster.applyStatus(refOf(resource), resource.metadata.uid, after);
    const wasRefused = conditionOf(before, 'Applied')?.message;
    const more: Happening[] =
      applied?.status === 'False' && applied.message !== wasRefused
        ? [{ type: 'Warning', reason: applied.reason, message: applied.message }]
        : [];
    for (const event of [...events, ...more]) await this.note(resource, event);
  }

  private async note(resource: TrainingJobResource, { type, reason, message }: Happening): Promise<void> {
    const { name, namespace, uid } = resource.metadata;
    this.log.info(message, { job: `${namespace}/${name}`, reason });
    const now = timeText(new Date());
    const ref: Ref = { kind: 'Event', namespace, name: `${name}.${Date.now().toString(16)}${reason.toLowerCase()}` };
    await this.cluster.create(ref, {
      involvedObject: { apiVersion: resource.apiVersion, kind: 'TrainingJob', name, namespace, uid },
      type,
      reason,
      message: message.slice(0, 1000),
      source: { component: 'showtell-operator' },
      reportingComponent: 'showtell-operator',
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    });
  }
}

/** A job that cannot be begun: nothing is known of it but that. */
const waiting = ({ status = {} }: TrainingJobResource): Pick<Decision, 'status' | 'events'> => ({
  status: { ...status, phase: status.phase ?? 'Pending' },
  events: [],
});

const nameTaken = ({ kind = '', metadata: { name } }: KubeObject): Finding => ({
  status: 'False',
  reason: 'NameTaken',
  message: `${kind} ${name} is there already and is not this job's.`,
});

/** Asked anew each time, since it changes while one waits. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;

/** The job that an object is about: itself, or the one in its labels. */
function keyOf({ kind, metadata }: KubeObject): string | null {
  const name = kind === 'TrainingJob' ? metadata.name : metadata.labels?.['app.kubernetes.io/instance'];
  return name === undefined ? null : `${metadata.namespace ?? ''}/${name}`;
}

function refused(reason: string, error: unknown): Finding {
  const problems = error instanceof ApiFailure ? error.problems : [];
  const message = [error instanceof Error ? error.message : String(error), ...problems].join('\n').slice(0, 1000);
  return { status: 'False', reason, message };
}

/** The same status with its fields in one order. */
const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([name, field]) => [name, sorted(field)]),
        )
      : value;

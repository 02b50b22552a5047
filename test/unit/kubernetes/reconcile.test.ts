import { describe, expect, it } from 'vitest';
import type { KubeObject } from '@showtell/coordinator/kubernetes/cluster/resources.js';
import { renderJob } from '@showtell/coordinator/kubernetes/render.js';
import {
  isAsWanted,
  type Answer,
  type TrainingJobResource,
} from '@showtell/coordinator/kubernetes/operator/observed.js';
import { reconcile } from '@showtell/coordinator/kubernetes/operator/reconcile.js';
import { withFindings, type TrainingJobStatus } from '@showtell/coordinator/kubernetes/operator/status.js';
import { WorkQueue } from '@showtell/coordinator/kubernetes/operator/work-queue.js';
import { isOfJob, podsOf, strangers } from '@showtell/coordinator/kubernetes/operator/wanted-objects.js';
import { apiVersion, parseTrainingJob } from '@showtell/coordinator/kubernetes/training-job.js';

const start = '2026-01-01T00:00:00Z';
const pod: KubeObject = { metadata: { name: 'a-coordinator-0' }, status: { phase: 'Running', podIP: '10.0.0.1' } };

interface Given {
  readonly spec?: object;
  readonly status?: TrainingJobStatus;
  readonly objects?: readonly KubeObject[];
  readonly pod?: KubeObject | null;
  readonly answer?: Answer;
  readonly idleWorkers?: readonly KubeObject[];
  readonly idleServers?: readonly KubeObject[];
  readonly warnings?: readonly KubeObject[];
  /** Seconds after the start. */
  readonly at?: number;
}

function look({
  spec = {},
  status = {},
  objects = [],
  pod: seen = pod,
  answer = { kind: 'unasked' },
  idleWorkers = [],
  idleServers = [],
  warnings = [],
  at = 10,
}: Given) {
  const resource: TrainingJobResource = {
    apiVersion,
    kind: 'TrainingJob',
    metadata: { name: 'a', namespace: 'n', uid: 'u', generation: 3 },
    spec,
    status,
  };
  const job = parseTrainingJob(resource, 'a');
  const now = new Date(Date.parse(start) + at * 1000);
  const idle = { idleWorkers, idleServers };
  return reconcile(job, { resource, objects, coordinatorPod: seen, ...idle, warnings, answer, now }, 5);
}

const said = (status: Extract<Answer, { kind: 'said' }>['status']): Answer => ({ kind: 'said', status });
const running: TrainingJobStatus = { phase: 'Running', startTime: start, step: 4 };
const condition = (type: 'Complete' | 'Failed'): TrainingJobStatus => ({
  startTime: start,
  completionTime: start,
  conditions: withFindings({}, { [type]: { status: 'True', reason: 'r', message: '' } }, 3, start),
});
/** The workers' Job as it stands. */
const workers = (active: number, end?: string): KubeObject => ({
  kind: 'Job',
  metadata: { name: 'a-worker', namespace: 'n', ownerReferences: [{ uid: 'u' }] },
  spec: { parallelism: 2 },
  status: { active, conditions: end === undefined ? [] : [{ type: end, status: 'True', reason: 'R', message: 'm' }] },
});
const replicas = (decision: ReturnType<typeof look>): Record<string, unknown> =>
  Object.fromEntries(
    decision.apply.flatMap(({ kind, metadata, spec }) => {
      const { replicas: count, suspend } = (spec ?? {}) as { replicas?: number; suspend?: boolean };
      return ['StatefulSet', 'Job'].includes(kind) ? [[metadata.name, count ?? suspend]] : [];
    }),
  );

describe('what is done about a TrainingJob', () => {
  it('is a function of how things stand', () => {
    const given = { answer: said({ state: 'training', step: 5 }) };
    expect(look(given)).toEqual(look(given));
  });

  it('is nothing where all is as wanted', () => {
    const objects = look({}).apply as unknown as KubeObject[];
    expect(objects).toHaveLength(renderJob(parseTrainingJob({}, 'a', { name: 'a' })).length);
    expect(look({ objects })).toMatchObject({ apply: [], remove: [] });
    const [first, ...others] = objects;
    expect(look({ objects: others }).apply).toEqual([first]);
  });

  it('keeps the last known progress, but no speed, while the coordinator is away', () => {
    const status = { ...running, imagesPerSecond: 3, estimatedEnd: start };
    const away = look({ status, pod: null }).status;
    expect(away).toMatchObject({ phase: 'Pending', step: 4, startTime: start });
    expect(away).not.toHaveProperty('imagesPerSecond');
    expect(look({ status, answer: { kind: 'silent', detail: 'reset' } }).status).toMatchObject({ phase: 'Running' });
  });

  it('writes an end down before it stops the one who knows it', () => {
    const answer = said({ state: 'finished', end: { reason: 'complete', message: '' } });
    const first = look({ status: running, answer, objects: [workers(2)] });
    expect(first).toMatchObject({ status: { phase: 'Succeeded' }, againInSeconds: 0 });
    // Workers have yet to hear of it, for a while.
    const status = condition('Complete');
    expect(replicas(look({ status, objects: [workers(2)] }))).toEqual({
      'a-nats': 1,
      'a-coordinator': 1,
      'a-worker': false,
    });
    // Their pods are over, their Job is not yet.
    expect(replicas(look({ status, objects: [workers(0)] }))).toMatchObject({ 'a-coordinator': 1, 'a-worker': false });
    expect(replicas(look({ status, objects: [workers(2)], at: 500 }))).toEqual({
      'a-coordinator': 0,
      'a-worker': true,
    });
    expect(replicas(look({ status, objects: [workers(0, 'Complete')], pod: null }))).toEqual({
      'a-nats': 0,
      'a-coordinator': 0,
    });
  });

  it('starts no pod of a suspended job for an end of which workers have not heard', () => {
    const decision = look({ status: condition('Complete'), spec: { suspend: true }, objects: [workers(0)], pod: null });
    expect(replicas(decision)).toEqual({ 'a-nats': 0, 'a-coordinator': 0, 'a-worker': true });
  });

  it('takes away what is asked for no more', () => {
    const more = {
      activeDeadlineSeconds: 60,
      workers: { nodeSelector: { disk: 'ssd' }, tolerations: [{ key: 'a' }], preemptible: true },
      storage: { data: { subPath: 'here' } },
    };
    const objects = look({ spec: more }).apply as unknown as KubeObject[];
    const applied = (spec: object): string[] => look({ spec, objects }).apply.map(({ metadata }) => metadata.name);
    expect(applied(more)).toEqual([]);
    expect(applied({ ...more, activeDeadlineSeconds: undefined })).toEqual(['a-worker']);
    expect(applied({ ...more, workers: {} })).toEqual(['a-worker']);
    expect(applied({ ...more, storage: {} })).toEqual(['a-coordinator', 'a-worker']);
  });

  it('applies no object anew for quantities that the API server writes in its own way', () => {
    const spec = {
      workers: { gpus: 1 },
      job: { engine: { device: 'cuda' } },
      resources: { workers: { cpu: '0.5', memory: '1024Mi' }, coordinator: { cpu: '1000m', memory: '1.5Gi' } },
      storage: { features: '1024Ti', runs: { size: '1000G' } },
    };
    const written: Readonly<Record<string, string>> = {
      ...{ '0.5': '500m', '1024Mi': '1Gi', '1000m': '1', '1.5Gi': '1536Mi', '1024Ti': '1Pi', '1000G': '1T' },
    };
    const canonical = (value: unknown): unknown =>
      JSON.parse(
        JSON.stringify(value, (name, field: unknown) =>
          name === 'nvidia.com/gpu' ? '1' : typeof field === 'string' ? (written[field] ?? field) : field,
        ),
      );
    const objects = canonical(look({ spec }).apply) as KubeObject[];
    expect(objects).not.toEqual(look({ spec }).apply);
    expect(look({ spec, objects }).apply).toEqual([]);
    const more = { ...spec, resources: { ...spec.resources, workers: { cpu: '0.6', memory: '1Gi' } } };
    expect(look({ spec: more, objects }).apply.map(({ kind }) => kind)).toEqual(['Job']);
  });

  it('leaves how a StatefulSet of an earlier version starts its pods, which cannot be changed', () => {
    const objects = (look({}).apply as unknown as KubeObject[]).map((object) => {
      const spec = { ...(object['spec'] as object) } as { podManagementPolicy?: string };
      if (object.kind === 'StatefulSet') spec.podManagementPolicy = 'OrderedReady';
      return { ...object, spec };
    });
    const sets = look({ objects }).apply;
    expect(sets.map(({ metadata }) => metadata.name)).toEqual(['a-nats', 'a-coordinator']);
    for (const set of sets) expect(set).toMatchObject({ spec: { podManagementPolicy: 'OrderedReady' } });
  });

  it('tells of other numbers of workers apart, since that is to be told once it is so', () => {
    const spec = { workers: { replicas: 3 } };
    const decision = look({ spec, status: running, objects: [workers(2)] });
    expect(decision.scaled).toMatchObject({ reason: 'Scaled', message: 'Workers: 3, from 2.' });
    expect(decision.events).not.toContainEqual(decision.scaled);
    expect(look({ status: running, objects: [workers(2)] }).scaled).toBeNull();
  });

  describe('pods in trouble', () => {
    const ended = (terminated: object) => ({ state: { terminated: { finishedAt: start, ...terminated } } });
    const podOf = (name: string, ...containerStatuses: object[]): KubeObject => ({
      metadata: { name, creationTimestamp: start },
      status: { phase: 'Failed', containerStatuses },
    });
    const message = (given: Given): string =>
      look(given).status.conditions?.find(({ type }) => type === 'Running')?.message ?? '';

    it('are told of in words: the coordinator’s', () => {
      const waiting = { reason: 'CrashLoopBackOff', message: 'back-off 10s' };
      const lastState = { terminated: { exitCode: 69, message: 'error No NATS server answers.\n  → Start it.\n' } };
      expect(message({ pod: podOf('a-coordinator-0', { state: { waiting }, lastState }) })).toBe(
        "The coordinator's container waits: CrashLoopBackOff: back-off 10s. It ended with exit code 69: error No NATS server answers.\n  → Start it.",
      );
      expect(message({ pod: podOf('a-coordinator-0', ended({ reason: 'OOMKilled', exitCode: 137 })) })).toContain(
        'spec.resources.coordinator.memory',
      );
      const unscheduled = { type: 'PodScheduled', status: 'False', message: '0/3 nodes: insufficient memory' };
      const nowhere = {
        metadata: { name: 'a-coordinator-0' },
        status: { phase: 'Pending', conditions: [unscheduled] },
      };
      expect(message({ pod: nowhere })).toContain('has no node: 0/3 nodes: insufficient memory');
    });

    it('are told of in words: the newest of the workers’, for a while, with an Event', () => {
      const answer = said({ state: 'training' });
      const idleWorkers = [
        podOf('a-worker-1', ended({ exitCode: 78, message: 'refused' })),
        podOf('a-worker-2', ended({ reason: 'OOMKilled', exitCode: 137, finishedAt: '2026-01-01T00:00:05Z' })),
        podOf('a-worker-3', ended({ exitCode: 75 })),
      ];
      const text =
        'A worker is missing: a-worker-2 was ended because it took more memory than it may have: spec.resources.workers.memory. (and 1 more)';
      const first = look({ answer, idleWorkers });
      expect(message({ answer, idleWorkers })).toBe(text);
      expect(first.events).toContainEqual({ type: 'Warning', reason: 'WorkerMissing', message: text });
      expect(look({ answer, idleWorkers, status: first.status }).events).toEqual([]);
      expect(message({ answer, idleWorkers, at: 700 })).toBe('');
    });
  });

  describe('what Kubernetes’ Events say', () => {
    const event = (uid: string, reason: string, text: string, at = start): KubeObject => ({
      metadata: { name: 'e' },
      ...{ involvedObject: { uid }, reason, message: text, lastTimestamp: at },
    });
    const creating = (name: string, uid: string): KubeObject => ({
      metadata: { name, uid, creationTimestamp: start },
      status: { phase: 'Pending', containerStatuses: [{ state: { waiting: { reason: 'ContainerCreating' } } }] },
    });
    const message = (given: Given): string =>
      look(given).status.conditions?.find(({ type }) => type === 'Running')?.message ?? '';
    const mount = (role: string): string => `MountVolume.SetUp failed for volume "tls" : secret "t-${role}" not found`;

    it('is told of a pod whose volume cannot be mounted, the last word of that very pod', () => {
      const coordinator = creating('a-coordinator-0', 'c');
      const warnings = [
        event('c', 'FailedMount', 'an older one', '2025-12-31T23:59:00Z'),
        event('c', 'FailedMount', mount('coordinator')),
        event('c', 'BackOff', 'nothing of interest', '2026-01-01T00:00:05Z'),
        event('of a pod before', 'FailedMount', 'another', '2026-01-01T00:00:05Z'),
        event('n', 'FailedMount', mount('nats')),
      ];
      expect(message({ pod: coordinator, warnings })).toBe(
        `The coordinator's container waits: ContainerCreating: ${mount('coordinator')}.`,
      );
      expect(message({ pod: coordinator })).toBe("The coordinator's container waits: ContainerCreating.");
      // A coordinator that is there may wait for a server that is not.
      expect(message({ pod, idleServers: [creating('a-nats-0', 'n'), creating('a-ps-0', 'p')], warnings })).toBe(
        `The coordinator starts.\na-nats-0 waits: ContainerCreating: ${mount('nats')}.`,
      );
    });

    it('is told of a worker, and of pods that may not be made', () => {
      const answer = said({ state: 'training' });
      const warnings = [event('w', 'FailedMount', mount('worker'))];
      expect(message({ answer, idleWorkers: [creating('a-worker-1', 'w')], warnings })).toBe(
        `A worker is missing: a-worker-1 waits: ContainerCreating: ${mount('worker')}.`,
      );
      expect(message({ answer, idleWorkers: [creating('a-worker-1', 'w')] })).toBe('');
      const job = workers(0);
      const objects = [{ ...job, metadata: { ...job.metadata, uid: 'j' } }];
      const quota = [
        event('j', 'FailedCreate', 'exceeded quota: pods'),
        event('s', 'FailedCreate', 'exceeded quota: 2'),
      ];
      expect(message({ answer, objects, warnings: quota })).toBe(
        'A worker is missing: its pod is not made: exceeded quota: pods',
      );
      expect(message({ answer, objects, warnings: quota, at: 700 })).toBe('');
      const set = { kind: 'StatefulSet', metadata: { name: 'a-coordinator', uid: 's' } };
      expect(message({ pod: null, objects: [set], warnings: quota })).toBe(
        'The coordinator has no pod: exceeded quota: 2',
      );
    });
  });

  it('tells what data a coordinator waits for', () => {
    const answer = said({
      state: 'waiting',
      waiting: { reason: 'data/bucket-missing', message: 'There is no bucket.' },
    });
    const { status } = look({ answer });
    expect(status.phase).toBe('Pending');
    expect(status.conditions).toContainEqual(
      expect.objectContaining({ type: 'Running', reason: 'DataBucketMissing', message: 'There is no bucket.' }),
    );
  });

  it.each([
    ['complete', 'Succeeded'],
    ['rolled-back', 'Succeeded'],
    ['guard-unmet', 'Failed'],
  ])('takes the outcome %s for %s', (reason, phase) => {
    const answer = said({ state: 'finished', end: { reason, message: 'm' } });
    expect(look({ status: running, answer }).status).toMatchObject({ phase, completionTime: '2026-01-01T00:00:10Z' });
  });

  describe('a changed job file', () => {
    const begun: TrainingJobStatus = { ...running, run: 'a-1', trainingPhase: 'decoder-only' };
    const objects = look({ spec: { job: { seed: 1 } } }).apply as unknown as KubeObject[];
    const change = (job: object, status = begun, rest: object = {}) =>
      look({ spec: { job, ...rest }, status, objects });

    it('is taken before a run has begun, and where no parameter depends on it', () => {
      // The coordinator starts anew with it.
      const taken = [{ kind: 'ConfigMap' }, { kind: 'StatefulSet', metadata: { name: 'a-coordinator' } }];
      expect(change({ seed: 2 }, running)).toMatchObject({ refusal: null, apply: taken });
      const operational = { seed: 1, checkpoints: { keepLast: 9 }, phases: { decoderOnly: { steps: 2_000_000 } } };
      expect(change(operational)).toMatchObject({ refusal: null, apply: taken });
    });

    it.each([
      [{ seed: 2 }, 'spec.job.seed: 1 → 2'],
      [{ batch: { examples: 64 } }, 'spec.job.batch.examples: 32 → 64'],
      [{ phases: { joint: { steps: 10 } } }, /spec\.job\.phases\.joint\.steps: \d+ → 10/],
      [{ model: { encoder: { weights: '/data/a.ckpt' } } }, 'spec.job.model.encoder.weights: random → /data/a.ckpt'],
    ])('is refused by name where they do: %j', (job, text) => {
      const { refusal, apply } = change(job);
      expect(refusal).toMatchObject({ status: 'False', reason: 'RunDependsOnField' });
      expect(refusal?.message).toMatch(text);
      expect(apply).toEqual([]);
    });

    it('is refused for a phase that is over', () => {
      const longer = { phases: { decoderOnly: { steps: 2_000_000 } } };
      expect(change(longer, { ...begun, trainingPhase: 'joint' }).refusal?.message).toContain('decoderOnly.steps');
      // Also by the coordinator's word alone, which the status does not have yet.
      const answer = said({ state: 'training', phase: 'joint' });
      expect(look({ spec: { job: longer }, status: begun, objects, answer }).refusal).not.toBeNull();
    });

    it('keeps the workers’ GPUs with the device of the file that stays', () => {
      const cuda = { workers: { gpus: 2 }, job: { engine: { device: 'cuda' } } };
      const there = look({ spec: cuda }).apply as unknown as KubeObject[];
      const asked = { workers: { gpus: 0 }, job: { engine: { device: 'cpu' }, seed: 2 } };
      const { refusal, apply } = look({ spec: asked, status: begun, objects: there });
      expect(refusal).not.toBeNull();
      expect(apply).toEqual([]);
    });

    it('lets what else is asked for count', () => {
      const { refusal, apply } = change({ seed: 2 }, begun, { workers: { replicas: 5 } });
      expect(refusal).not.toBeNull();
      expect(apply.map(({ kind }) => kind)).toEqual(['PodDisruptionBudget', 'Job']);
    });
  });

  it('lets an end be the end', () => {
    const later = look({ status: condition('Failed'), answer: said({ state: 'training' }), spec: { suspend: false } });
    expect(later.status.phase).toBe('Failed');
    expect(replicas(later)).toMatchObject({ 'a-coordinator': 0, 'a-worker': true });
  });

  it('fails with the workers’ Job, and at the deadline, which a resumption sets anew', () => {
    expect(look({ status: running, objects: [workers(0, 'Failed')] }).status.phase).toBe('Failed');
    const spec = { activeDeadlineSeconds: 60 };
    expect(look({ status: running, spec, at: 59 })).toMatchObject({ status: { phase: 'Pending' }, againInSeconds: 1 });
    expect(look({ status: running, spec, at: 60 }).status.phase).toBe('Failed');
    const suspended = { ...running, ...look({ status: running, spec: { ...spec, suspend: true } }).status };
    expect(look({ status: suspended, spec: { ...spec, suspend: true }, at: 99 }).status.phase).not.toBe('Failed');
    const resumed = look({ status: suspended, spec, at: 99 }).status;
    expect(resumed).toMatchObject({ startTime: '2026-01-01T00:01:39Z', phase: 'Pending' });
  });

  it('goes when its time after the end is over', () => {
    const spec = { ttlSecondsAfterFinished: 30 };
    expect(look({ status: condition('Complete'), spec, at: 29, pod: null })).toMatchObject({
      expired: false,
      againInSeconds: 1,
    });
    expect(look({ status: condition('Complete'), spec, at: 30 }).expired).toBe(true);
  });

  it('takes a job that a person stopped for one that stands still', () => {
    const { status } = look({ status: running, answer: said({ state: 'not running' }) });
    expect(status).toMatchObject({ phase: 'Suspended' });
  });

  it('leaves objects of others alone', () => {
    const objects = [{ ...workers(1), metadata: { name: 'a-worker', namespace: 'n' } }];
    const resource = { metadata: { name: 'a', namespace: 'n', uid: 'u' } };
    expect(strangers(parseTrainingJob({}, 'a', { name: 'a' }), { objects, resource })).toHaveLength(1);
  });

  it('hears the coordinator of its own StatefulSet alone', () => {
    const resource = { metadata: { name: 'a', namespace: 'n', uid: 'u' } };
    const set = (owner: string): KubeObject => ({
      kind: 'StatefulSet',
      metadata: { name: 'a-coordinator', uid: 's', ownerReferences: [{ uid: owner }] },
    });
    const own = { ...pod, metadata: { ...pod.metadata, ownerReferences: [{ uid: 's' }] } };
    expect(isOfJob(own, [set('u')], resource)).toBe(true);
    expect(isOfJob(own, [set('another')], resource)).toBe(false);
    expect(isOfJob(pod, [set('u')], resource)).toBe(false);
    expect(isOfJob(null, [set('u')], resource)).toBe(false);
  });

  it('knows what of an object may change where the rest may not', () => {
    const ofKind = (kind: string) => look({}).apply.filter((manifest) => manifest.kind === kind);
    expect(ofKind('StatefulSet').map(podsOf)).toEqual([{ replicas: 1 }, { replicas: 1 }]);
    expect(ofKind('Job').map(podsOf)).toEqual([{ parallelism: 2, suspend: false }]);
    expect(ofKind('ConfigMap').map(podsOf)).toEqual([null]);
  });
});

it('an object is as wanted when it has every wanted value, whatever else it has', () => {
  expect(isAsWanted({ a: [{ b: 1, c: 2 }], d: 3 }, { a: [{ b: 1 }] })).toBe(true);
  expect(isAsWanted({ a: [{ b: 1 }, {}] }, { a: [{ b: 1 }] })).toBe(false);
  expect(isAsWanted({}, { a: [] })).toBe(false);
});

describe('the work queue', () => {
  it('works on a key alone, once for all that happened meanwhile, and pauses after failures', async () => {
    const rounds: string[] = [];
    const pauses: number[] = [];
    let open = (): void => undefined;
    const queue = new WorkQueue(
      async (key) => {
        rounds.push(key);
        if (key === 'bad') throw new Error('no');
        if (rounds.length === 1) await new Promise<void>((resolve) => (open = resolve));
        return null;
      },
      (_key, _error, pauseMs) => pauses.push(pauseMs),
    );
    for (let i = 0; i < 3; i++) queue.add('a');
    await expect.poll(() => rounds).toEqual(['a']);
    for (let i = 0; i < 3; i++) queue.add('a');
    queue.add('bad');
    await expect.poll(() => pauses).toEqual([500, 1000]);
    expect(rounds.filter((key) => key === 'a')).toHaveLength(1);
    open();
    await expect.poll(() => rounds.filter((key) => key === 'a')).toHaveLength(2);
    await queue.close();
  });
});

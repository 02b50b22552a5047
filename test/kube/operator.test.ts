import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { Cluster } from '@showtell/coordinator/kubernetes/cluster/cluster.js';
import { Connection } from '@showtell/coordinator/kubernetes/cluster/connection.js';
import type { KubeObject } from '@showtell/coordinator/kubernetes/cluster/resources.js';
import { ports } from '@showtell/coordinator/kubernetes/naming.js';
import { renderJob } from '@showtell/coordinator/kubernetes/render.js';
import { apiVersion, parseTrainingJob } from '@showtell/coordinator/kubernetes/training-job.js';
import type { ServedStatus } from '@showtell/coordinator/served-status.js';
import { Kube, noKube } from '../support/kube.js';
import { OperatorProcess } from '../support/operator-process.js';

const deploy = fileURLToPath(new URL('../../deploy/k8s/', import.meta.url));

interface Shown {
  readonly metadata: { readonly uid: string };
  readonly status?: {
    readonly phase?: string;
    readonly step?: number;
    readonly workers?: number;
    readonly estimatedEnd?: string;
    readonly conditions?: readonly { type: string; status: string; reason: string; message?: string }[];
  };
}

describe.skipIf(noKube !== null)(`the operator${noKube === null ? '' : ` (skipped: ${noKube})`}`, () => {
  let kube: Kube;
  const operators: OperatorProcess[] = [];
  const coordinators: Server[] = [];

  beforeAll(async () => {
    kube = await Kube.start();
    kube.must(['apply', '--server-side', '--validate=strict', '-k', join(deploy, 'operator')]);
    kube.must(['wait', '--for=condition=Established', 'crd/trainingjobs.showtell.dev', '--timeout=30s']);
    kube.must(['create', '-f', '-'], stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' } }));
  }, 1_200_000);
  afterEach(async () => {
    for (const operator of operators.splice(0)) await operator[Symbol.asyncDispose]();
    for (const server of coordinators.splice(0)) server.close();
  });
  afterAll(() => kube[Symbol.dispose]());

  /** An operator with the rights that deploy/k8s/operator gives it, and no others. */
  const start = async (...args: string[]): Promise<OperatorProcess> => {
    const account = ['-n', 'showtell-system', 'showtell-operator'];
    const operator = await OperatorProcess.start(
      kube.kubeconfigWith(kube.must(['create', 'token', ...account]).trim()),
      [...['--lease-namespace', 'showtell-system', '--poll', '1', ...args]],
    );
    operators.push(operator);
    return operator;
  };
  const namespace = (name: string): string[] => {
    kube.must(['create', 'namespace', name]);
    return ['-n', name];
  };
  const apply = (where: readonly string[], name: string, spec: object): void => {
    const content = { apiVersion, kind: 'TrainingJob', metadata: { name }, spec };
    kube.must(['apply', '--server-side', '--validate=strict', ...where, '-f', '-'], stringify(content));
  };
  const getAny = (args: readonly string[]): unknown => JSON.parse(kube.must(['get', '-o', 'json', ...args]));
  const get = (args: readonly string[]): Shown => getAny(args) as Shown;
  const until = async (what: string, there: () => boolean): Promise<void> => {
    const deadline = Date.now() + 45_000;
    while (!there()) {
      await delay(500);
      if (Date.now() > deadline)
        throw new Error(
          `not in time: ${what}\n${kube.kubectl(['get', 'tj', '-A', '-o', 'yaml']).output}\n${operators.map(({ log }) => log).join('\n')}`,
        );
    }
  };
  const condition = (shown: Shown, type: string) => shown.status?.conditions?.find((each) => each.type === type);
  const untilPhase = (where: readonly string[], name: string, phase: string): Promise<void> =>
    until(`${name} ${phase}`, () => get(['tj', name, ...where]).status?.phase === phase);

  /** Stands for the coordinator of a job: its pod gets an address of this machine, where `says` is answered. */
  const coordinator = async (
    where: readonly string[],
    name: string,
    address: string,
  ): Promise<{ says: ServedStatus }> => {
    const answer = { says: { state: 'training' } as ServedStatus };
    const server = createServer((_, response) => response.end(JSON.stringify(answer.says)));
    coordinators.push(server);
    await new Promise<void>((resolve) => server.listen(ports.coordinatorHttp, address, resolve));
    kube.must(['wait', '--for=create', `pod/${name}-coordinator-0`, '--timeout=60s', ...where]);
    const target = { apiVersion: 'v1', kind: 'Node', name: 'node' };
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: `${name}-coordinator-0` }, target };
    const path = `/api/v1/namespaces/${where[1] ?? ''}/pods/${name}-coordinator-0/binding`;
    kube.kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(binding));
    const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }] };
    kube.must([
      ...['patch', 'pod', `${name}-coordinator-0`, '--subresource=status', '--type=merge', ...where],
      ...['-p', JSON.stringify({ status })],
    ]);
    return answer;
  };
  /** There is no kubelet that ends pods. */
  const endPods = (where: readonly string[]): void =>
    void kube.kubectl(['delete', 'pods', '--all', '--force', '--grace-period=0', ...where]);

  const training = (step: number): ServedStatus => ({
    state: 'training',
    run: 'a-1',
    phase: 'decoder-only',
    step,
    totalSteps: 100,
    loss: 2.5,
    imagesPerSecond: 12.34,
    etaSeconds: 600,
    checkpointStep: 4,
    evaluation: { step: 5, scores },
  });
  const scores: NonNullable<ServedStatus['evaluation']>['scores'] = {
    lossPerWord: 1.5,
    words: 100,
    perplexity: 4.4816890703,
    captions: {
      images: 8,
      bleu: [0.61, 0.52, 0.43, 0.2812345678],
      rougeL: 0.5,
      cider: 0.9,
      novelty: 0.1,
      colorAccuracy: null,
    },
  };

  it('makes a job’s objects, tells its progress, ends it, and lets it go', async () => {
    const where = namespace('whole');
    await start();
    apply(where, 'a', { job: { seed: 3 }, workers: { replicas: 3 }, ttlSecondsAfterFinished: 3600 });
    await until('pods', () => kube.kubectl(['get', 'pod', 'a-coordinator-0', 'a-nats-0', ...where]).code === 0);
    await untilPhase(where, 'a', 'Pending');
    const { uid } = get(['tj', 'a', ...where]).metadata;
    // Just what "job render" prints, owned by the job.
    for (const { kind, metadata } of renderJob(parseTrainingJob(get(['tj', 'a', ...where]), 'a')))
      expect(get([kind, metadata.name, ...where])).toMatchObject({
        metadata: { labels: metadata.labels, ownerReferences: [{ kind: 'TrainingJob', uid, controller: true }] },
      });

    const answer = await coordinator(where, 'a', '127.0.71.1');
    answer.says = training(7);
    await untilPhase(where, 'a', 'Running');
    await until('three workers', () => get(['tj', 'a', ...where]).status?.workers === 3);
    expect(get(['tj', 'a', ...where]).status).toMatchObject({
      run: 'a-1',
      step: 7,
      totalSteps: 100,
      loss: 2.5,
      bleu4: 0.2812,
      perplexity: 4.482,
      checkpointStep: 4,
    });
    // Ten minutes from when it was asked, to the next ten seconds.
    const { estimatedEnd = '' } = get(['tj', 'a', ...where]).status ?? {};
    expect(estimatedEnd).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d0Z$/);
    const left = (Date.parse(estimatedEnd) - Date.now()) / 1000;
    expect(left).toBeGreaterThan(560);
    expect(left).toBeLessThanOrEqual(610);
    const row = kube.must(['get', 'trainingjob', 'a', ...where]);
    expect(row).toMatch(/^NAME +PHASE +TRAINING +STEP +OF +LOSS +BLEU-4 +IMAGES\/S +WORKERS +END +AGE$/m);
    expect(row).toMatch(
      /^a +Running +decoder-only +7 +100 +2\.5 +0\.2812 +12\.3 +3 +\d{4}-\d\d-\d\dT\d\d:\d\d:\d0Z +\d+\w+$/m,
    );
    const wide = kube.must(['get', 'trainingjob', 'a', '-o', 'wide', ...where]);
    expect(wide).toMatch(/ END +PERPLEXITY +CHECKPOINT +AGE$/m);
    expect(wide).toMatch(/Z +4\.482 +4 +\d+\w+$/m);
    // What is known stays where a coordinator says less; the speed of one that does not train is none.
    answer.says = { state: 'paused', run: 'a-1', step: 8, evaluation: null };
    await until('step 8', () => get(['tj', 'a', ...where]).status?.step === 8);
    expect(get(['tj', 'a', ...where]).status).toMatchObject({ bleu4: 0.2812, perplexity: 4.482, totalSteps: 100 });
    expect(get(['tj', 'a', ...where]).status).not.toHaveProperty('estimatedEnd');
    answer.says = training(8);

    // The scale subresource, as "kubectl scale" and autoscalers use it.
    kube.must(['scale', 'tj/a', '--replicas=1', ...where]);
    await until(
      'one worker',
      () => (getAny(['job', 'a-worker', ...where]) as { spec: { parallelism: number } }).spec.parallelism === 1,
    );
    await until('no budget', () => kube.kubectl(['get', 'pdb', 'a-worker', ...where]).code !== 0);
    kube.must(['wait', '--for=jsonpath={.status.selector}', 'tj/a', ...where]);

    // What somebody has changed is put right; nothing is written while all is as wanted.
    kube.must(['scale', 'statefulset/a-nats', '--replicas=0', ...where]);
    await until(
      'NATS again',
      () => (getAny(['sts', 'a-nats', ...where]) as { spec: { replicas: number } }).spec.replicas === 1,
    );
    const versions = (): string =>
      kube.must([
        'get',
        'sts,job,svc,cm,netpol',
        '-o',
        'jsonpath={.items[*].metadata.generation}{.items[*].metadata.managedFields[?(@.manager=="showtell")].time}',
        ...where,
      ]);
    const before = versions();
    await delay(3_000);
    expect(versions()).toBe(before);

    answer.says = { ...training(100), state: 'finished', end: { reason: 'complete', message: 'all steps are done' } };
    const worker = ['pods', '-l', 'app.kubernetes.io/component=worker', '-o', 'name', ...where];
    const [last = ''] = kube.must(['get', ...worker]).split('\n');
    const done = JSON.stringify({ status: { phase: 'Succeeded' } });
    kube.must(['patch', last, '--subresource=status', '--type=merge', '-p', done, ...where]);
    await untilPhase(where, 'a', 'Succeeded');
    kube.must(['wait', '--for=condition=Complete', 'job/a-worker', '--timeout=30s', ...where]);
    expect(condition(get(['tj', 'a', ...where]), 'Complete')).toMatchObject({ status: 'True', reason: 'Complete' });
    await until(
      'no coordinator',
      () => (getAny(['sts', 'a-coordinator', ...where]) as { spec: { replicas: number } }).spec.replicas === 0,
    );
    const reasons = (
      getAny(['events', ...where]) as { items: { reason: string; involvedObject: { uid: string } }[] }
    ).items
      .filter(({ involvedObject }) => involvedObject.uid === uid)
      .map(({ reason }) => reason);
    expect(reasons).toEqual(expect.arrayContaining(['Running', 'Scaled', 'Succeeded']));

    // The time after its end being over, it goes with all that it owns, the volume of its runs aside.
    endPods(where);
    kube.must(['patch', 'tj', 'a', '--type=merge', '-p', '{"spec":{"ttlSecondsAfterFinished":1}}', ...where]);
    await until('gone', () => kube.must(['get', 'tj,sts,job,svc,netpol', '-o', 'name', ...where]).trim() === '');
    expect(kube.must(['get', 'pvc', '-o', 'name', ...where]).trim()).toBe('persistentvolumeclaim/runs-a-coordinator-0');
  }, 180_000);

  it('suspends and resumes, keeps a failure, and says why a coordinator does not start', async () => {
    const where = namespace('other-ends');
    await start();
    apply(where, 'a', {});
    const answer = await coordinator(where, 'a', '127.0.71.2');
    answer.says = training(7);
    await untilPhase(where, 'a', 'Running');
    kube.must(['patch', 'tj', 'a', '--type=merge', '-p', '{"spec":{"suspend":true}}', ...where]);
    await untilPhase(where, 'a', 'Stopping');
    // nats-server outlasts the coordinator, which saves.
    expect(get(['sts', 'a-nats', ...where])).toMatchObject({ spec: { replicas: 1 } });
    endPods(where);
    await untilPhase(where, 'a', 'Suspended');
    await until(
      'no NATS',
      () => (getAny(['sts', 'a-nats', ...where]) as { spec: { replicas: number } }).spec.replicas === 0,
    );
    kube.must(['patch', 'tj', 'a', '--type=merge', '-p', '{"spec":{"suspend":false}}', ...where]);
    await until('a pod again', () => kube.kubectl(['get', 'pod', 'a-coordinator-0', ...where]).code === 0);
    kube.must([
      ...['patch', 'pod', 'a-coordinator-0', '--subresource=status', '--type=merge', ...where, '-p'],
      JSON.stringify({
        status: {
          containerStatuses: [
            {
              name: 'coordinator',
              image: 'i',
              imageID: '',
              ready: false,
              restartCount: 0,
              state: { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } },
            },
          ],
        },
      }),
    ]);
    kube.must(['annotate', 'sts', 'a-coordinator', 'touched=yes', ...where]);
    await until(
      'the reason',
      () =>
        condition(get(['tj', 'a', ...where]), 'Running')?.message?.includes('ImagePullBackOff: no such image') === true,
    );

    for (const server of coordinators.splice(0)) server.close();
    const next = await coordinator(where, 'a', '127.0.71.3');
    next.says = { state: 'failed', end: { reason: 'data/folder-not-indexed', message: '/data has no dataset.json.' } };
    await untilPhase(where, 'a', 'Failed');
    expect(condition(get(['tj', 'a', ...where]), 'Failed')).toMatchObject({
      status: 'True',
      reason: 'DataFolderNotIndexed',
      message: '/data has no dataset.json.',
    });
    await until(
      'all still',
      () => (getAny(['job', 'a-worker', ...where]) as { spec: { suspend: boolean } }).spec.suspend,
    );
    next.says = training(8);
    kube.must(['patch', 'tj', 'a', '--type=merge', '-p', '{"spec":{"workers":{"replicas":4}}}', ...where]);
    await delay(2_000);
    expect(get(['tj', 'a', ...where]).status?.phase).toBe('Failed');
  }, 180_000);

  it('holds a deleted job until its coordinator is gone, shards and NATS staying, and leaves orphans alone', async () => {
    const where = namespace('deleted');
    await start('--namespace', 'deleted');
    apply(where, 'a', { job: { cluster: { parameterShards: 2 } } });
    const answer = await coordinator(where, 'a', '127.0.71.6');
    answer.says = training(7);
    await untilPhase(where, 'a', 'Running');
    expect(getAny(['tj', 'a', ...where])).toMatchObject({ metadata: { finalizers: ['showtell.dev/save'] } });
    kube.must(['delete', 'tj', 'a', '--wait=false', ...where]);
    const specOf = (kind: string, name: string): unknown =>
      (getAny([kind, name, ...where]) as { spec: Readonly<Record<string, unknown>> }).spec;
    await until(
      'the coordinator’s end',
      () => kube.must(['get', 'sts', 'a-coordinator', '-o', 'jsonpath={.spec.replicas}', ...where]) === '0',
    );
    await untilPhase(where, 'a', 'Stopping');
    expect(condition(get(['tj', 'a', ...where]), 'Running')).toMatchObject({ status: 'False', reason: 'Deleted' });
    expect(specOf('job', 'a-worker')).toMatchObject({ suspend: true });
    // Its pod has its time, what it reads from is there, and no look brings anything back.
    await delay(3_000);
    expect(getAny(['pod', 'a-coordinator-0', ...where])).toMatchObject({
      metadata: { deletionTimestamp: expect.any(String) as string },
    });
    expect(specOf('sts', 'a-coordinator')).toMatchObject({ replicas: 0 });
    expect(specOf('sts', 'a-ps')).toMatchObject({ replicas: 2 });
    expect(specOf('sts', 'a-nats')).toMatchObject({ replicas: 1 });
    for (const pod of ['a-ps-0', 'a-ps-1', 'a-nats-0'])
      expect((getAny(['pod', pod, ...where]) as KubeObject).metadata.deletionTimestamp, pod).toBeUndefined();
    kube.must(['delete', 'pod', 'a-coordinator-0', '--force', '--grace-period=0', ...where]);
    await until('gone', () => kube.must(['get', 'tj,sts,job,svc,netpol', '-o', 'name', ...where]).trim() === '');
    expect(kube.must(['get', 'pvc', '-o', 'name', ...where]).trim()).toBe('persistentvolumeclaim/runs-a-coordinator-0');

    // One without any pod has nothing to save, and one whose objects are to stay is not touched.
    apply(where, 'none', { suspend: true });
    await untilPhase(where, 'none', 'Suspended');
    kube.must(['delete', 'tj', 'none', '--timeout=20s', ...where]);
    apply(where, 'kept', {});
    await until('a pod', () => kube.kubectl(['get', 'pod', 'kept-coordinator-0', ...where]).code === 0);
    kube.must(['delete', 'tj', 'kept', '--cascade=orphan', '--timeout=20s', ...where]);
    expect(specOf('sts', 'kept-coordinator')).toMatchObject({ replicas: 1 });
    expect(specOf('job', 'kept-worker')).toMatchObject({ suspend: false });
  }, 180_000);

  it('fails a job at its deadline, leaves objects of others alone, makes workers anew for another image', async () => {
    const where = namespace('corners');
    await start('--namespace', 'corners');
    apply(where, 'late', { activeDeadlineSeconds: 1 });
    await untilPhase(where, 'late', 'Failed');
    expect(condition(get(['tj', 'late', ...where]), 'Failed')).toMatchObject({ reason: 'DeadlineExceeded' });

    const plain = renderJob(parseTrainingJob({}, 'plain', { name: 'plain', namespace: 'corners' }));
    kube.must(['apply', '--server-side', '-f', '-', ...where], plain.map((object) => stringify(object)).join('---\n'));
    apply(where, 'plain', { workers: { replicas: 5 } });
    await until('refusal', () => condition(get(['tj', 'plain', ...where]), 'Applied')?.reason === 'NameTaken');
    expect(get(['job', 'plain-worker', ...where])).toMatchObject({ spec: { parallelism: 2 } });

    apply(where, 'b', { images: { worker: 'one' } });
    await until('workers', () => kube.kubectl(['get', 'job', 'b-worker', ...where]).code === 0);
    apply(where, 'b', { images: { worker: 'two' } });
    const image = '{.spec.template.spec.containers[0].image}';
    await until(
      'other workers',
      () => kube.kubectl(['get', 'job', 'b-worker', '-o', `jsonpath=${image}`, ...where]).output === 'two',
    );
  }, 180_000);

  it('goes on with the rest where one object is refused, and keeps workers that could not be made anew', async () => {
    const where = namespace('refused');
    await start('--namespace', 'refused');
    const spec = { workers: { tolerations: [{ key: 'a', operator: 'Exists' }] } };
    apply(where, 'a', spec);
    await until('workers', () => kube.kubectl(['get', 'job', 'a-worker', ...where]).code === 0);
    const { uid } = get(['job', 'a-worker', ...where]).metadata;
    const failure = (): string | undefined => condition(get(['tj', 'a', ...where]), 'Applied')?.message;
    // The volume cannot be another; a toleration without a key needs the operator Exists.
    const worse = {
      storage: { runs: { size: '30Gi' } },
      workers: { replicas: 3, tolerations: [{ effect: 'NoSchedule' }] },
    };
    apply(where, 'a', worse);
    const fieldsOf = (kind: string, name: string): Readonly<Record<string, unknown>> =>
      (getAny([kind, name, ...where]) as { spec: Record<string, unknown> }).spec;
    await until('three workers', () => fieldsOf('job', 'a-worker')['parallelism'] === 3);
    await until('refusal', () => failure()?.includes('StatefulSet') === true);
    apply(where, 'a', { ...worse, suspend: true });
    await until('suspended workers', () => fieldsOf('job', 'a-worker')['suspend'] === true);
    await until('no coordinator', () => fieldsOf('sts', 'a-coordinator')['replicas'] === 0);
    expect(get(['job', 'a-worker', ...where]).metadata.uid).toBe(uid);

    apply(where, 'a', { workers: { ...worse.workers, replicas: 1 } });
    await until('the toleration', () => failure()?.includes('tolerations') === true);
    expect(get(['job', 'a-worker', ...where]).metadata.uid).toBe(uid);
    apply(where, 'a', { workers: { replicas: 1 } });
    await until('agreement', () => condition(get(['tj', 'a', ...where]), 'Applied')?.status === 'True');
    expect(fieldsOf('job', 'a-worker')).not.toHaveProperty('template.spec.tolerations');
  }, 180_000);

  it('takes neither an object without showtell’s labels nor the word of another job’s coordinator', async () => {
    const where = namespace('strange');
    await start('--namespace', 'strange');
    kube.must(['create', 'job', 'foreign-worker', '--image=i', ...where]);
    apply(where, 'foreign', {});
    const plain = renderJob(parseTrainingJob({}, 'plain', { name: 'plain', namespace: 'strange' }));
    kube.must(['apply', '--server-side', '-f', '-', ...where], plain.map((object) => stringify(object)).join('---\n'));
    const answer = await coordinator(where, 'plain', '127.0.71.5');
    answer.says = { ...training(100), state: 'finished', end: { reason: 'complete', message: '' } };
    apply(where, 'plain', {});
    for (const name of ['foreign', 'plain']) {
      await until('refusal', () => condition(get(['tj', name, ...where]), 'Applied')?.reason === 'NameTaken');
      expect(get(['tj', name, ...where]).status).toMatchObject({ phase: 'Pending' });
    }
    const { spec } = getAny(['job', 'foreign-worker', ...where]) as {
      spec: { template: { spec: { containers: object[] } } };
    };
    expect(spec.template.spec.containers).toMatchObject([{ image: 'i' }]);
    expect(kube.kubectl(['get', 'sts', 'foreign-coordinator', ...where]).code).not.toBe(0);
  }, 120_000);

  it('writes and deletes the TrainingJob that was looked at, not another of its name', async () => {
    const where = namespace('another');
    vi.stubEnv('KUBECONFIG', kube.kubeconfig);
    const cluster = new Cluster(Connection.open());
    vi.unstubAllEnvs();
    apply(where, 'a', {});
    const ref = { kind: 'TrainingJob', namespace: 'another', name: 'a' } as const;
    const earlier = '00000000-0000-0000-0000-000000000000';
    expect(await cluster.applyStatus(ref, earlier, { phase: 'Failed' })).toBe(false);
    await expect(cluster.delete(ref, earlier)).rejects.toMatchObject({ status: 409 });
    const { metadata, status } = get(['tj', 'a', ...where]);
    expect(status?.phase).toBeUndefined();
    expect(await cluster.applyStatus(ref, metadata.uid, { phase: 'Failed' })).toBe(true);
    expect(get(['tj', 'a', ...where]).status?.phase).toBe('Failed');
    expect(await cluster.delete(ref, metadata.uid)).toBe(true);
  });

  it('keeps a run’s job file while another would give other parameters, and says by which field', async () => {
    const where = namespace('changed');
    await start();
    apply(where, 'a', { job: { seed: 1 } });
    const answer = await coordinator(where, 'a', '127.0.71.4');
    answer.says = training(7);
    await untilPhase(where, 'a', 'Running');
    const patch = (spec: object): unknown =>
      kube.must(['patch', 'tj', 'a', '--type=merge', '-p', JSON.stringify({ spec }), ...where]);
    const file = (): string => kube.must(['get', 'cm', 'a-job', '-o', 'jsonpath={.data.job\\.yaml}', ...where]);
    const before = file();
    patch({ job: { seed: 2 }, workers: { replicas: 3 } });
    await until('refusal', () => condition(get(['tj', 'a', ...where]), 'Applied')?.reason === 'RunDependsOnField');
    expect(condition(get(['tj', 'a', ...where]), 'Applied')).toMatchObject({
      status: 'False',
      message: expect.stringContaining('spec.job.seed: 1 → 2') as string,
    });
    // What runs goes on, and the rest of the change counts.
    await until(
      'three workers',
      () => (getAny(['job', 'a-worker', ...where]) as { spec: { parallelism: number } }).spec.parallelism === 3,
    );
    answer.says = training(9);
    await until('step 9', () => get(['tj', 'a', ...where]).status?.step === 9);
    expect(get(['tj', 'a', ...where]).status?.phase).toBe('Running');
    expect(file()).toBe(before);
    const events = getAny(['events', ...where]) as { items: { type: string; reason: string }[] };
    expect(events.items.filter(({ reason }) => reason === 'RunDependsOnField')).toMatchObject([{ type: 'Warning' }]);

    patch({ job: { seed: 1, checkpoints: { keepLast: 9 } } });
    await until('agreement', () => condition(get(['tj', 'a', ...where]), 'Applied')?.status === 'True');
    await until('the file', () => file().includes('keepLast: 9'));
  }, 120_000);

  it('does its work where it may not read Events', async () => {
    const role = getAny(['clusterrole', 'showtell-operator']) as {
      rules: { resources: string[]; verbs: string[] }[];
    };
    const rules = role.rules.map((rule) => (rule.resources.includes('events') ? { ...rule, verbs: ['create'] } : rule));
    kube.must(['replace', '-f', '-'], JSON.stringify({ ...role, rules }));
    const where = namespace('without-events');
    await start('--namespace', 'without-events');
    apply(where, 'a', {});
    await until('a pod', () => kube.kubectl(['get', 'pod', 'a-coordinator-0', ...where]).code === 0);
    kube.must(['scale', 'tj/a', '--replicas=3', ...where]);
    await until(
      'three workers',
      () => kube.must(['get', 'job', 'a-worker', '-o', 'jsonpath={.spec.parallelism}', ...where]) === '3',
    );
    kube.must(['apply', '--server-side', '--force-conflicts', '-k', join(deploy, 'operator')]);
  }, 120_000);

  it('leads alone: another takes over when the first ends, and when it is killed', async () => {
    const where = namespace('leaders');
    const first = await start();
    await first.until('leads');
    const second = await start();
    apply(where, 'a', {});
    await untilPhase(where, 'a', 'Pending');
    expect(second.log).not.toContain('"leads"');
    expect(await first.metric('showtell_operator_leader')).toBe(1);
    expect(await second.metric('showtell_operator_leader')).toBe(0);
    expect(await first.metric('showtell_operator_jobs{phase="Pending"}')).toBeGreaterThan(0);
    expect((await fetch(`${second.url}/readyz`)).status).toBe(200);
    expect(await first.end('SIGTERM')).toBe(0);
    // Given back, so that nobody has to wait for it.
    await second.until('leads', 8_000);
    const third = await start();
    await second.end('SIGKILL');
    await third.until('leads', 40_000);
  }, 120_000);

  it('says what is wrong where there is no cluster, no definition, and no right', async () => {
    const run = async (kubeconfig: string) => {
      const cli = fileURLToPath(new URL('../../packages/coordinator/bin/showtell.js', import.meta.url));
      const child = spawn(process.execPath, [cli, 'operator', '--http-port', '0'], {
        env: { ...process.env, KUBECONFIG: kubeconfig },
      });
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
      const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
      return { code, said };
    };
    expect(await run('/nowhere/kubeconfig')).toMatchObject({
      code: 78,
      said: expect.stringContaining('No Kubernetes cluster') as string,
    });
    const account = ['-n', 'default', 'default'];
    const token = kube.must(['create', 'token', ...account]).trim();
    expect(await run(kube.kubeconfigWith(token))).toMatchObject({
      code: 77,
      said: expect.stringContaining('trainingjobs.showtell.dev is forbidden') as string,
    });
    expect(await run(kube.kubeconfigWith('wrong'))).toMatchObject({
      code: 77,
      said: expect.stringContaining('does not know who asks') as string,
    });
    const dead = kube.kubeconfigWith(token).replace(/kubeconfig[^/]*$/, 'kubeconfig-dead');
    writeFileSync(dead, kube.configText(token).replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1'));
    expect(await run(dead)).toMatchObject({ code: 69, said: expect.stringContaining('does not answer') as string });
  });
});

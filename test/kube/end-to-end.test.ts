import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { Cluster } from '@showtell/coordinator/kubernetes/cluster/cluster.js';
import { Connection } from '@showtell/coordinator/kubernetes/cluster/connection.js';
import type { KubeObject } from '@showtell/coordinator/kubernetes/cluster/resources.js';
import { servingObjects } from '@showtell/coordinator/kubernetes/serving.js';
import { apiVersion } from '@showtell/coordinator/kubernetes/training-job.js';
import { ensureNatsServer } from '@showtell/coordinator/local/nats-binary.js';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { silent } from '@showtell/shared/set-up/progress.js';
import { eventually } from '../support/eventually.js';
import { Kube, noKube } from '../support/kube.js';
import { Kubelet } from '../support/kubelet.js';
import { bitsOf, LocalCluster, tinyJob } from '../support/local-run.js';
import { OperatorProcess } from '../support/operator-process.js';
import { folderFor } from '../support/pod-process.js';

const deploy = fileURLToPath(new URL('../../deploy/k8s/', import.meta.url));
const minutes = 60_000;

/** Why pods cannot be run here; null: they can. */
const noPods =
  spawnSync('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs none /mnt']).status === 0 ? null : 'no right to mount';
const missing = noKube ?? noPods;

/** The tiny job, longer: time enough for what is done to it. */
const job = {
  ...tinyJob,
  checkpoints: { everySteps: 20, keepLast: 3 },
  phases: {
    ...tinyJob.phases,
    decoderOnly: { ...tinyJob.phases.decoderOnly, steps: 300 },
    joint: { ...tinyJob.phases.joint, steps: 60 },
  },
};

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message?: string;
}

interface Status {
  readonly phase?: string;
  readonly step?: number;
  readonly workers?: number;
  readonly conditions?: readonly Condition[];
}

describe.skipIf(missing !== null)(
  `a TrainingJob from end to end${missing === null ? '' : ` (skipped: ${missing})`}`,
  () => {
    const local = LocalCluster.open();
    let kube: Kube;
    /** For what is asked again and again: a kubectl each time would hold up the kubelet, which is in this process. */
    let cluster: Cluster;
    let kubelet: Kubelet;
    let operator: OperatorProcess;
    let reference: ReturnType<typeof bitsOf>;

    beforeAll(async () => {
      await local.drawData();
      local.writeJob('long', job);
      await local.trained(local.at('reference'), { workers: 1, job: local.at('long.yaml') });
      reference = bitsOf(local.at('reference'));
      kube = await Kube.start();
      process.env['KUBECONFIG'] = kube.kubeconfig;
      kube.must(['apply', '--server-side', '-k', join(deploy, 'operator')]);
      kube.must(['wait', '--for=condition=Established', 'crd/trainingjobs.showtell.dev', '--timeout=30s']);
      const connection = Connection.open();
      cluster = new Cluster(connection);
      kubelet = await Kubelet.start({
        connection,
        namespace: 'default',
        claims: { data: local.data, empty: folderFor(0, local.at('empty')) },
        engine: join(cacheFolder(), 'engine'),
        natsServer: await ensureNatsServer(silent),
      });
      const token = kube.must(['create', 'token', '-n', 'showtell-system', 'showtell-operator']).trim();
      operator = await OperatorProcess.start(kube.kubeconfigWith(token), [
        '--lease-namespace',
        'showtell-system',
        '--poll',
        '1',
      ]);
    }, 30 * minutes);
    afterAll(async () => {
      await operator[Symbol.asyncDispose]();
      await kubelet[Symbol.asyncDispose]();
      kube[Symbol.dispose]();
    });

    const status = async (name = 'a'): Promise<Status> =>
      (await cluster.get({ kind: 'TrainingJob', namespace: 'default', name }))?.['status'] ?? {};
    const running = async (name: string): Promise<Condition | undefined> =>
      (await status(name)).conditions?.find(({ type }) => type === 'Running');
    const podNames = async (labels?: string, fields?: string): Promise<string[]> =>
      (await cluster.list('Pod', 'default', labels, fields)).items.map(({ metadata: { name } }) => name);
    const workerPods = (): Promise<string[]> => podNames('app.kubernetes.io/component=worker', 'status.phase=Running');
    const isComplete = async (name: string): Promise<boolean> => {
      const { conditions = [] } = ((await cluster.get({ kind: 'Job', namespace: 'default', name }))?.['status'] ??
        {}) as Status;
      return conditions.some(({ type, status }) => type === 'Complete' && status === 'True');
    };
    const apply = (name: string, spec: object): void =>
      void kube.must(
        ['apply', '--server-side', '-f', '-'],
        stringify({ apiVersion, kind: 'TrainingJob', metadata: { name }, spec }),
      );
    const claim = (name: string): void => {
      const claimed = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
      const object = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name }, spec: claimed };
      kube.must(['apply', '--server-side', '-f', '-'], stringify(object));
    };
    const showtell = (...args: string[]) => local.run(args);
    const until = async (what: string, there: () => Promise<boolean>): Promise<void> => {
      // A whole training, on a machine that has other work.
      const deadline = Date.now() + 6 * minutes;
      while (!(await there())) {
        await delay(200);
        if (Date.now() > deadline)
          throw new Error(
            [
              `not in time: ${what}`,
              kube.kubectl(['get', 'tj,pods', '-o', 'wide']).output,
              kubelet.logs(),
              operator.log.slice(-3000),
              kubelet.errors.slice(-5).join('\n'),
            ].join('\n'),
          );
      }
    };
    const untilOthers = (gone: string): Promise<void> =>
      until('another worker', async () => {
        const pods = await workerPods();
        return pods.length === 2 && !pods.includes(gone);
      });
    const untilStep = (step: number, name = 'a'): Promise<void> =>
      until(`step ${step}`, async () => ((await status(name)).step ?? 0) >= step);
    const untilEnd = (name: string): Promise<void> =>
      until(`the end of ${name}`, async () => ['Succeeded', 'Failed'].includes((await status(name)).phase ?? ''));

    it(
      'trains to the bits of a local run, though workers and the coordinator go and come',
      async () => {
        apply('a', { job, workers: { replicas: 2 }, storage: { data: { claim: 'data' } } });
        // The claim comes late, and the job says what it waits for.
        await until(
          'the reason',
          async () => (await running('a'))?.message?.includes('persistentvolumeclaim "data" not found') === true,
        );
        claim('data');
        await untilStep(1);
        expect(kube.must(['get', 'tj', 'a'])).toMatch(/^a +Running +decoder-only +\d+ +360 /m);

        const [gone = ''] = await workerPods();
        kube.must(['delete', 'pod', gone, '--wait=false']);
        await untilOthers(gone);
        kube.must(['scale', 'tj/a', '--replicas=3']);
        await until('three workers', async () => (await workerPods()).length === 3);
        const before = (await status()).step ?? 0;
        kube.must(['delete', 'pod', 'a-coordinator-0', '--wait=false']);
        await untilStep(before + 5);
        kube.must(['scale', 'tj/a', '--replicas=1']);
        await until('one worker', async () => (await workerPods()).length <= 1);

        await untilEnd('a');
        expect(await status(), kubelet.logs()).toMatchObject({ phase: 'Succeeded', step: 360 });
        const run = join(kubelet.claim('default', 'runs-a-coordinator-0'), 'a');
        expect(bitsOf(run)).toEqual(reference);
        // Workers heard of it by themselves, and no pod is left.
        await until('the workers’ end', () => isComplete('a-worker'));
        await until('no pods', async () => (await podNames(undefined, 'status.phase=Running')).length === 0);
        expect(kubelet.errors.filter((error) => !error.includes('not found'))).toEqual([]);

        // What it has trained is served off its volume.
        const serving = servingObjects('a').map((object) => stringify(object));
        kube.must(['apply', '--server-side', '--validate=strict', '-f', '-'], serving.join('---\n'));
        const serves = (): Promise<string[]> => podNames('app.kubernetes.io/name=showtell-serve');
        await until('a pod that serves', async () => (await serves()).length > 0);
        const address = `http://${kubelet.address('default', (await serves())[0] ?? '')}:8080`;
        await eventually(
          'ready',
          async () => (await fetch(`${address}/readyz`).catch(() => null))?.ok === true,
          minutes,
        );
        const [picture = ''] = readdirSync(join(local.data, 'images'));
        const body = readFileSync(join(local.data, 'images', picture));
        const answer = await fetch(`${address}/caption`, {
          method: 'POST',
          headers: { 'content-type': 'image/jpeg' },
          body,
        });
        expect(await answer.json()).toMatchObject({ captions: [{ caption: expect.any(String) as string }, {}, {}] });
        kube.must(['delete', 'deployment', 'a-serve', '--wait=false']);
      },
      12 * minutes,
    );

    it(
      'trains on two shards from a bucket, saves when it is deleted, and goes on under the same name',
      async () => {
        const sharded = { ...job, cluster: { parameterShards: 2 } };
        const spec = { job: sharded, storage: { data: { bucket: 'scenes' }, runs: { size: '1Gi' } } };
        apply('b', spec);
        // The data come late, and the job says what it waits for and how they come.
        await until('the reason', async () => (await running('b'))?.reason === 'DataBucketMissing');
        expect((await running('b'))?.message).toContain(
          'showtell data push DATA --nats nats://b-nats:4222 --bucket scenes',
        );
        expect((await status('b')).phase).toBe('Pending');
        const nats = `nats://${kubelet.address('default', 'b-nats-0')}:4222`;
        expect(await showtell('data', 'push', local.data, '--nats', nats, '--bucket', 'scenes')).toMatchObject({
          code: 0,
        });
        await untilStep(10, 'b');
        // nats-server's memory goes, the bucket does not.
        kube.must(['delete', 'pod', 'b-nats-0', '--wait=false']);
        const before = (await status('b')).step ?? 0;
        await untilStep(before + 30, 'b');

        const job1 = await showtell('job', 'logs', 'b', '--tail', '2');
        expect(job1.stdout.split('\n').filter((line) => line.startsWith('{"type"')).length).toBeGreaterThan(0);
        const told = (await status('b')).step ?? 0;
        kube.must(['delete', 'tj', 'b', '--wait=false']);
        await until('no pods', async () => (await podNames('app.kubernetes.io/instance=b')).length === 0);
        const claims = ['get', 'pvc', '-o', 'name', '-l', 'app.kubernetes.io/instance=b'];
        expect(kube.must(claims).trim().split('\n').sort()).toEqual([
          'persistentvolumeclaim/runs-b-coordinator-0',
          'persistentvolumeclaim/store-b-nats-0',
        ]);
        const run = join(kubelet.claim('default', 'runs-b-coordinator-0'), 'b');
        // No step that was told is lost: shards and nats-server were there to be read to the end.
        const saved = bitsOf(run).step;
        const [last = ''] = readFileSync(join(run, 'steps.jsonl'), 'utf8').trim().split('\n').slice(-1);
        expect(saved).toBeGreaterThanOrEqual((JSON.parse(last) as { step: number }).step);
        expect(saved).toBeGreaterThanOrEqual(told);
        expect(saved).toBeLessThan(360);
        expect(operator.log).toContain('"a deleted job goes"');
        expect(operator.log).not.toContain('though its coordinator');

        await until(
          'the old job gone',
          async () =>
            (await cluster.get({ kind: 'StatefulSet', namespace: 'default', name: 'b-coordinator' })) === null,
        );
        apply('b', spec);
        await untilStep(saved, 'b');
        await untilEnd('b');
        expect(await status('b'), kubelet.logs()).toMatchObject({ phase: 'Succeeded', step: 360 });
        expect(bitsOf(run)).toEqual(reference);
      },
      12 * minutes,
    );

    it(
      'runs plain manifests on two shards, which are the same applied twice, to the same bits though pods go, and shows their logs',
      async () => {
        claim('data');
        local.writeJob('sharded', { ...job, cluster: { parameterShards: 2 } });
        const { stdout: manifests } = await showtell(
          ...[
            'job',
            'render',
            local.at('sharded.yaml'),
            '--name',
            'plain',
            '--claim',
            'data',
            '--namespace',
            'default',
          ],
        );
        // As people do it, and as docs/kubernetes.md says.
        const versions = (): string[] => {
          const { items } = JSON.parse(kube.must(['get', '-f', '-', '-o', 'json'], manifests)) as {
            items: KubeObject[];
          };
          // The status of these changes as the job comes up, and their resourceVersion with it.
          const lively = ['StatefulSet', 'Job', 'PodDisruptionBudget'];
          return items.map(({ kind = '', metadata: { name, generation, resourceVersion } }) =>
            [kind, name, generation, lively.includes(kind) ? '' : resourceVersion].join(' '),
          );
        };
        for (const how of [['--server-side'], []]) {
          kube.must(['apply', ...how, '-f', '-'], manifests);
          const before = versions();
          kube.must(['apply', ...how, '-f', '-'], manifests);
          expect(versions()).toEqual(before);
        }
        await until('workers', async () => (await workerPods()).length === 2);
        // By the probes of every role.
        await until('six that are ready', async () => {
          const { items } = await cluster.list('Pod', 'default', 'app.kubernetes.io/instance=plain');
          const isReady = ({ status }: KubeObject): boolean =>
            ((status ?? {}) as Status).conditions?.some((each) => each.type === 'Ready' && each.status === 'True') ===
            true;
          return items.length === 6 && items.every(isReady);
        });
        // Without an operator, a worker and the coordinator go and come.
        const [gone = ''] = await workerPods();
        kube.must(['delete', 'pod', gone, '--wait=false']);
        await untilOthers(gone);
        const coordinator = (): Promise<KubeObject | null> =>
          cluster.get({ kind: 'Pod', namespace: 'default', name: 'plain-coordinator-0' });
        const first = (await coordinator())?.metadata.uid;
        const run = join(kubelet.claim('default', 'runs-plain-coordinator-0'), 'plain');
        const stepsOf = (): number => {
          const file = join(run, 'steps.jsonl');
          return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').length : 0;
        };
        await until('steps', () => Promise.resolve(stepsOf() > 5));
        kube.must(['delete', 'pod', 'plain-coordinator-0', '--wait=false']);
        await until('another coordinator', async () => {
          const pod = await coordinator();
          return pod?.metadata.uid !== first && ((pod?.['status'] ?? {}) as Status).phase === 'Running';
        });
        expect(stepsOf()).toBeLessThan(360);
        const followed = local.start(['job', 'logs', 'plain', '--follow']);
        await until('the log', () => Promise.resolve(followed.output.includes('"type":"step"')));
        const ofWorkers = await showtell('job', 'logs', 'plain', '--role', 'worker', '--tail', '5');
        expect(ofWorkers.stdout).toMatch(/^plain-worker-\w+: \{.*"role":"worker"/m);
        await until('the end', () => isComplete('plain-worker'));
        expect(bitsOf(run)).toEqual(reference);
        expect(followed.output).toContain('"outcome":"complete"');
        expect((await showtell('job', 'delete', 'plain')).code).toBe(0);
        expect((await followed.ended).code).toBe(0);
      },
      12 * minutes,
    );

    it(
      'has a pod ready by its probes alone',
      async () => {
        const shard = (name: string, probes: object) => ({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name },
          spec: {
            securityContext: { runAsUser: 10_001 },
            containers: [
              {
                name: 'ps',
                image: 'showtell/coordinator',
                command: ['showtell', 'ps', '--host', '0.0.0.0'],
                ports: [{ name: 'http', containerPort: 9467 }],
                ...probes,
              },
            ],
          },
        });
        const healthy = { startupProbe: { httpGet: { path: '/healthz', port: 'http' } } };
        const pods = [
          shard('well', healthy),
          // No coordinator has opened it.
          shard('unready', { ...healthy, readinessProbe: { httpGet: { path: '/readyz', port: 'http' } } }),
          shard('wrong-path', { startupProbe: { httpGet: { path: '/health', port: 'http' } } }),
          shard('wrong-port', { ...healthy, livenessProbe: { httpGet: { path: '/healthz', port: 9466 } } }),
        ];
        kube.must(['apply', '-f', '-'], pods.map((pod) => stringify(pod)).join('---\n'));
        const ready = '{.status.containerStatuses[0].ready}';
        const isReady = (name: string): boolean =>
          kube.must(['get', 'pod', name, '-o', `jsonpath=${ready}`]) === 'true';
        await until('the one that is well', () => Promise.resolve(isReady('well')));
        const names = pods.map(({ metadata: { name } }) => name);
        const answers = async (name: string): Promise<boolean> =>
          (await fetch(`http://${kubelet.address('default', name)}:9467/healthz`).catch(() => null))?.ok === true;
        for (const name of names) await eventually(name, () => answers(name), minutes);
        await delay(2_000);
        expect(names.map(isReady)).toEqual([true, false, false, false]);
        kube.must(['delete', 'pods', ...names, '--wait=false']);
      },
      3 * minutes,
    );

    it(
      'names the Secrets that are missing, and trains with TLS once they are there',
      async () => {
        claim('data');
        apply('d', { job: tinyJob, workers: { replicas: 1 }, tls: 'd-tls', storage: { data: { claim: 'data' } } });
        const isTold = (role: string) => async (): Promise<boolean> =>
          (await running('d'))?.message?.includes(
            `MountVolume.SetUp failed for volume "tls" : secret "d-tls-${role}" not found`,
          ) === true;
        await until('the coordinator’s', isTold('coordinator'));
        await until('nats-server’s', isTold('nats'));
        expect((await status('d')).phase).toBe('Pending');
        const certs = local.at('certs');
        const hosts = ['--host', 'd-coordinator', '--host', 'd-nats'];
        expect(await showtell('certs', certs, ...hosts)).toMatchObject({ code: 0 });
        const create = (role: string): void =>
          void kube.must(['create', 'secret', 'generic', `d-tls-${role}`, `--from-file=${join(certs, role)}`]);
        create('nats');
        create('coordinator');
        await until('the workers’', isTold('worker'));
        expect((await status('d')).phase).toBe('Running');
        create('worker');
        await untilEnd('d');
        expect(await status('d'), kubelet.logs()).toMatchObject({ phase: 'Succeeded', step: 24 });
      },
      4 * minutes,
    );

    it(
      'fails a job whose data are not there, in words',
      async () => {
        claim('empty');
        apply('c', { job, storage: { data: { claim: 'empty' } } });
        await untilEnd('c');
        const failed = (await status('c')).conditions?.find(({ type }) => type === 'Failed');
        expect(failed).toMatchObject({ status: 'True', reason: 'DataFolderNotIndexed' });
        expect(failed?.message).toContain('/data has no dataset.json');
      },
      3 * minutes,
    );
  },
);

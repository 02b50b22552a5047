import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { Connection } from '@showtell/coordinator/kubernetes/cluster/connection.js';
import { apiVersion } from '@showtell/coordinator/kubernetes/training-job.js';
import { ensureNatsServer } from '@showtell/coordinator/local/nats-binary.js';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { silent } from '@showtell/shared/set-up/progress.js';
import { Kube, noKube } from '../support/kube.js';
import { Kubelet } from '../support/kubelet.js';
import { bitsOf, LocalCluster, tinyJob } from '../support/local-run.js';
import { OperatorProcess } from '../support/operator-process.js';

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
    decoderOnly: { ...tinyJob.phases.decoderOnly, steps: 500 },
    joint: { ...tinyJob.phases.joint, steps: 60 },
  },
};

describe.skipIf(missing !== null)(
  `a TrainingJob from end to end${missing === null ? '' : ` (skipped: ${missing})`}`,
  () => {
    const local = LocalCluster.open();
    let kube: Kube;
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
      kubelet = await Kubelet.start({
        connection: Connection.open(),
        namespace: 'default',
        claims: { data: local.data },
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

    const status = (): { phase?: string; step?: number; workers?: number } =>
      (JSON.parse(kube.must(['get', 'tj', 'a', '-o', 'json'])) as { status?: object }).status ?? {};
    const until = async (what: string, there: () => boolean): Promise<void> => {
      const deadline = Date.now() + 3 * minutes;
      while (!there()) {
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
    const workerPods = (): string[] =>
      kube
        .must([
          'get',
          'pods',
          '-l',
          'app.kubernetes.io/component=worker',
          '--field-selector=status.phase=Running',
          '-o',
          'name',
        ])
        .split('\n')
        .filter((name) => name !== '');
    const untilStep = (step: number): Promise<void> => until(`step ${step}`, () => (status().step ?? 0) >= step);

    it(
      'trains to the bits of a local run, though workers and the coordinator go and come',
      async () => {
        const spec = { job, workers: { replicas: 2 }, storage: { data: { claim: 'data' } } };
        kube.must(
          ['apply', '--server-side', '-f', '-'],
          stringify({ apiVersion, kind: 'TrainingJob', metadata: { name: 'a' }, spec }),
        );
        const running = 'jsonpath={.status.conditions[?(@.type=="Running")].message}';
        // The claim comes late, and the job says what it waits for.
        await until('the reason', () =>
          kube.must(['get', 'tj', 'a', '-o', running]).includes('persistentvolumeclaim "data" not found'),
        );
        const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
        kube.must(
          ['apply', '--server-side', '-f', '-'],
          stringify({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data' }, spec: claim }),
        );
        await untilStep(1);
        expect(kube.must(['get', 'tj', 'a'])).toMatch(/^a +Running +decoder-only +\d+ +560 /m);

        const [gone = ''] = workerPods();
        kube.must(['delete', gone, '--wait=false']);
        await until('another worker', () => workerPods().length === 2 && !workerPods().includes(gone));
        kube.must(['scale', 'tj/a', '--replicas=3']);
        await until('three workers', () => workerPods().length === 3);
        const before = status().step ?? 0;
        kube.must(['delete', 'pod', 'a-coordinator-0', '--wait=false']);
        await untilStep(before + 5);
        kube.must(['scale', 'tj/a', '--replicas=1']);
        await until('one worker', () => workerPods().length <= 1);

        await until('the end', () => ['Succeeded', 'Failed'].includes(status().phase ?? ''));
        expect(status(), kubelet.logs()).toMatchObject({ phase: 'Succeeded', step: 560 });
        const run = join(kubelet.claim('default', 'runs-a-coordinator-0'), 'a');
        expect(bitsOf(run)).toEqual(reference);
        // Workers heard of it by themselves, and no pod is left.
        kube.must(['wait', '--for=condition=Complete', 'job/a-worker', '--timeout=60s']);
        await until(
          'no pods',
          () => kube.must(['get', 'pods', '--field-selector=status.phase=Running', '-o', 'name']) === '',
        );
        expect(kubelet.errors.filter((error) => !error.includes('not found'))).toEqual([]);
      },
      12 * minutes,
    );
  },
);

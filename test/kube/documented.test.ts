import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cleaningUp, inCluster } from '../docs/in-cluster.js';
import { showtellOnPath } from '../support/documented-commands.js';
import { Kube, noKube } from '../support/kube.js';
import { installPrometheusDefinitions } from '../support/prometheus-operator.js';

describe.skipIf(noKube !== null)(
  `commands of the documentation${noKube === null ? '' : ` (skipped: ${noKube})`}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'showtell-documented-'));
    let kube: Kube;
    let path: string;
    let hasDefinitions: boolean;

    beforeAll(async () => {
      kube = await Kube.start();
      hasDefinitions = installPrometheusDefinitions(kube);
      path = showtellOnPath(join(folder, 'bin'));
      symlinkSync(resolve('deploy'), join(folder, 'deploy'));
      writeFileSync(join(folder, 'job.yaml'), 'preset: demo\nname: captions\n');
      const captions = {
        apiVersion: 'showtell.dev/v1alpha1',
        kind: 'TrainingJob',
        metadata: { name: 'captions' },
        spec: {},
      };
      writeFileSync(join(folder, 'captions.yaml'), JSON.stringify(captions));
    }, 1_200_000);
    afterAll(() => {
      kube[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    function run(documented: string, skip: (why: string) => never): void {
      // What NAME stands for in the words around it: here the job of the overlay.
      const command = documented.replaceAll('NAME', 'showtell');
      if (command.startsWith('kubectl delete pod'))
        kube.must(['wait', '--for=create', 'pod/showtell-coordinator-0', '--timeout=60s']);
      if (/deploy\/(?:prometheus|k8s\/pod-monitor)$/.test(command) && !hasDefinitions)
        skip('no Go, or its module proxy is out of reach');
      // What watches does so until it is told to end.
      const isEndless = / -w$/.test(command);
      const env = { ...process.env, PATH: path, KUBECONFIG: kube.kubeconfig };
      const words = isEndless ? ['timeout', '5', 'bash', '-c', command] : ['bash', '-o', 'pipefail', '-c', command];
      const [program = '', ...args] = words;
      const done = spawnSync(program, args, { cwd: folder, env, encoding: 'utf8' });
      expect(done.status, done.stdout + done.stderr).toBe(isEndless ? 124 : 0);
      expect(done.stdout).not.toBe('');
    }

    it.for(inCluster)('%s', (documented, { skip }) => run(documented, skip));

    it('leaves what they were meant for', () => {
      const keys = (secret: string): string[] => {
        const { data } = JSON.parse(kube.must(['get', 'secret', secret, '-o', 'json'])) as { data: object };
        return Object.keys(data).sort();
      };
      expect(keys('showtell-page')).toEqual(['token']);
      for (const role of ['coordinator', 'worker', 'nats'])
        expect(keys(`captions-tls-${role}`), role).toEqual(expect.arrayContaining(['ca.crt', 'tls.crt', 'tls.key']));
      const { spec } = JSON.parse(kube.must(['get', 'trainingjob', 'captions', '-o', 'json'])) as {
        spec: { storage: { data: { bucket?: string } } };
      };
      expect(spec.storage.data.bucket).toBe('mscoco');
    });

    it.for(cleaningUp)('%s', (documented, { skip }) => run(documented, skip));
  },
);

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Kube, noKube } from '../support/kube.js';

const deploy = fileURLToPath(new URL('../../deploy/k8s/', import.meta.url));
const cli = fileURLToPath(new URL('../../packages/coordinator/bin/showtell.js', import.meta.url));

describe.skipIf(noKube !== null)(`showtell job${noKube === null ? '' : ` (skipped: ${noKube})`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-job-'));
  const file = join(folder, 'job.yaml');
  let kube: Kube;

  beforeAll(async () => {
    kube = await Kube.start();
    writeFileSync(file, 'name: captions\nseed: 5\n');
  }, 1_200_000);
  afterAll(() => {
    kube[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });

  const showtell = async (args: readonly string[], kubeconfig = kube.kubeconfig) => {
    const env = { ...process.env, KUBECONFIG: kubeconfig, NO_COLOR: '1' };
    const child = spawn(process.execPath, [cli, 'job', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, ...said };
  };
  const get = (args: readonly string[]): unknown => JSON.parse(kube.must(['get', '-o', 'json', ...args]));

  // Before the definition is installed: what a user of a cluster without it meets.
  it('says that a cluster has no TrainingJobs, and runs plain manifests there', async () => {
    const refused = await showtell(['submit', file]);
    expect(refused).toMatchObject({ code: 69, out: '' });
    expect(refused.err).toMatch(/does not know TrainingJobs[^]*kubectl apply --server-side -k deploy\/k8s\/operator/);

    const begun = await showtell(['submit', file, '--plain', '--workers', '3', '--json']);
    expect(begun).toMatchObject({ code: 0, err: '' });
    const { objects } = JSON.parse(begun.out) as { objects: { object: string; result: string }[] };
    expect(objects).toContainEqual({ object: 'job/captions-worker', result: 'created' });
    expect((await showtell(['submit', file, '--plain', '--workers', '3'])).out).toMatch(/^(\S+ unchanged\n){13,}$/);

    kube.must(['wait', '--for=jsonpath={.status.active}=3', 'job/captions-worker', '--timeout=60s']);
    expect((await showtell(['status', 'captions'])).out).toMatch(
      /job +default\/captions, plain manifests\nworkers +3\nstate +at work/,
    );
    expect((await showtell(['scale', 'captions', '1'])).code).toBe(0);
    expect(get(['job', 'captions-worker'])).toMatchObject({ spec: { parallelism: 1 } });

    const { code, out } = await showtell(['delete', 'captions']);
    expect({ code, out }).toMatchObject({
      code: 0,
      out: expect.stringContaining('statefulset/captions-coordinator deleted') as string,
    });
    kube.must(['wait', '--for=delete', 'sts/captions-coordinator', 'job/captions-worker', '--timeout=60s']);
    expect(kube.must(['get', 'pvc', '-o', 'name']).trim()).toBe('persistentvolumeclaim/runs-captions-coordinator-0');
    expect(await showtell(['delete', 'captions'])).toMatchObject({ code: 66 });
  }, 120_000);

  it('submits, shows, scales and deletes a TrainingJob', async () => {
    kube.must(['apply', '--server-side', '-k', join(deploy, 'crd')]);
    kube.must(['wait', '--for=condition=Established', 'crd/trainingjobs.showtell.dev', '--timeout=30s']);
    kube.must(['create', 'namespace', 'n']);
    const where = ['--namespace', 'n'];
    expect((await showtell(['submit', file, '--dry-run', ...where])).out).toBe(
      'trainingjob/captions created (dry run)\n',
    );
    expect(kube.must(['get', 'tj', '-o', 'name', '-n', 'n'])).toBe('');
    expect((await showtell(['submit', file, ...where])).out).toBe('trainingjob/captions created\n');
    expect((await showtell(['submit', file, ...where])).out).toBe('trainingjob/captions unchanged\n');
    expect((await showtell(['submit', file, '--workers', '4', ...where])).out).toBe(
      'trainingjob/captions configured\n',
    );
    expect(get(['tj', 'captions', '-n', 'n'])).toMatchObject({ spec: { job: { seed: 5 }, workers: { replicas: 4 } } });
    expect(await showtell(['scale', 'captions', '6', ...where])).toMatchObject({
      code: 0,
      out: 'job n/captions: 6 workers\n',
    });
    expect(get(['tj', 'captions', '-n', 'n'])).toMatchObject({ spec: { workers: { replicas: 6 } } });

    expect((await showtell(['status', 'captions', ...where])).out).toContain('not looked at by an operator yet');
    const status = {
      phase: 'Running',
      step: 7,
      totalSteps: 100,
      trainingPhase: 'joint',
      conditions: [
        {
          type: 'Running',
          status: 'True',
          reason: 'Training',
          message: '',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    };
    kube.must([
      'patch',
      'tj',
      'captions',
      '-n',
      'n',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status }),
    ]);
    const shown = await showtell(['status', 'captions', ...where]);
    expect(shown.out).toMatch(/phase +Running\nstep +7 of 100, joint\n[^]*Running +True, Training\n/);
    expect(JSON.parse((await showtell(['status', 'captions', '--json', ...where])).out)).toEqual({
      name: 'captions',
      namespace: 'n',
      kind: 'TrainingJob',
      status,
    });

    expect((await showtell(['logs', 'captions', ...where])).err).toContain('no coordinator pod of the job captions');
    expect((await showtell(['delete', 'captions', ...where])).out).toMatch(
      /^trainingjob\/captions deleted\n.*stays\.\n$/,
    );
    kube.must(['wait', '--for=delete', 'tj/captions', '-n', 'n', '--timeout=30s']);

    // As an operator has it: it is there until it is let go, and is not changed on its way out.
    await showtell(['submit', file, ...where]);
    const finalizers = (value: readonly string[] | null) =>
      kube.must([
        ...['patch', 'tj', 'captions', '-n', 'n', '--type=merge', '-p'],
        JSON.stringify({ metadata: { finalizers: value } }),
      ]);
    finalizers(['showtell.dev/save']);
    expect((await showtell(['delete', 'captions', ...where])).out).toMatch(
      /^trainingjob\/captions deleted\nIt goes once its coordinator has saved.*\n.*stays\.\n$/,
    );
    expect(await showtell(['submit', file, ...where])).toMatchObject({
      code: 69,
      out: '',
      err: expect.stringContaining('trainingjob/captions is being deleted') as string,
    });
    finalizers(null);
    kube.must(['wait', '--for=delete', 'tj/captions', '-n', 'n', '--timeout=30s']);
  }, 120_000);

  it('says what is wrong: the job by its field, the name, the cluster, the rights', async () => {
    const wrong = join(folder, 'wrong.yaml');
    writeFileSync(wrong, 'batch: { exampels: 8 }\n');
    expect(await showtell(['submit', wrong])).toMatchObject({
      code: 78,
      err: expect.stringContaining('batch.exampels: no such field') as string,
    });
    expect(await showtell(['submit', join(folder, 'none.yaml')])).toMatchObject({ code: 66 });
    for (const command of ['status', 'logs', 'delete'])
      expect(await showtell([command, 'nobody'])).toMatchObject({
        code: 66,
        err: expect.stringContaining('no job nobody in the namespace default') as string,
      });
    expect(await showtell(['scale', 'nobody', 'many'])).toMatchObject({ code: 64 });
    // What only the cluster knows: there is no such namespace.
    expect(await showtell(['submit', file, '--namespace', 'nowhere'])).toMatchObject({
      code: 66,
      err: expect.stringContaining('"nowhere" not found') as string,
    });
    expect(await showtell(['status', 'a'], '/nowhere')).toMatchObject({
      code: 78,
      err: expect.stringContaining('No Kubernetes cluster') as string,
    });
    expect(await showtell(['status', 'a', '--context', 'other'])).toMatchObject({
      code: 78,
      err: expect.stringContaining('no context other') as string,
    });
    const nobody = kube.kubeconfigWith(kube.must(['create', 'token', 'default']).trim());
    expect(await showtell(['submit', file], nobody)).toMatchObject({
      code: 77,
      err: expect.stringContaining('trainingjobs.showtell.dev "captions" is forbidden') as string,
    });
    const dead = kube.kubeconfigWith('t');
    writeFileSync(dead, kube.configText('t').replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1'));
    expect(await showtell(['status', 'a'], dead)).toMatchObject({
      code: 69,
      err: expect.stringContaining('does not answer') as string,
    });
  }, 120_000);
});

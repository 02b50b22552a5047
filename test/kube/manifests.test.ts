import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import type { Manifest } from '@showtell/coordinator/kubernetes/manifest.js';
import { renderJob } from '@showtell/coordinator/kubernetes/render.js';
import { apiVersion, parseTrainingJob, type TrainingJob } from '@showtell/coordinator/kubernetes/training-job.js';
import { Kube, noKube } from '../support/kube.js';
import { installPrometheusDefinitions } from '../support/prometheus-operator.js';

const deploy = fileURLToPath(new URL('../../deploy/k8s/', import.meta.url));
const overlay = (name: string): string => join(deploy, 'overlays', name);
const base = parseTrainingJob({ preset: 'demo' }, 'the preset demo', { name: 'showtell' });
const { spec } = base;

const onGpu: TrainingJob = {
  ...base,
  spec: {
    ...spec,
    job: { ...spec.job, engine: { ...spec.job.engine, device: 'cuda' } },
    workers: { ...spec.workers, gpus: 1 },
  },
};
const divided: TrainingJob = {
  ...base,
  spec: { ...spec, job: { ...spec.job, cluster: { ...spec.job.cluster, parameterShards: 2 } } },
};
const secured = (job: TrainingJob): TrainingJob => ({ ...job, spec: { ...job.spec, tls: 'showtell-tls' } });

/** The job that an overlay stands for. */
const meant: Record<string, TrainingJob> = {
  local: {
    ...base,
    spec: {
      ...spec,
      workers: { ...spec.workers, replicas: 1 },
      resources: {
        ...spec.resources,
        workers: { cpu: '500m', memory: '2Gi' },
        coordinator: { cpu: '500m', memory: '1Gi' },
      },
      storage: { ...spec.storage, runs: { ...spec.storage.runs, size: '2Gi' } },
    },
  },
  gpu: onGpu,
  spot: { ...base, spec: { ...spec, workers: { ...spec.workers, preemptible: true } } },
  monitoring: base,
  shards: divided,
  tls: secured(base),
};

/** Components that are used together, in this order. */
const combined: [readonly string[], TrainingJob][] = [
  [['shards', 'tls'], secured(divided)],
  [['tls', 'gpu'], secured(onGpu)],
];

/** Objects by kind and name, the job file as what it says rather than how it is written. */
function byName(objects: readonly Manifest[]): Record<string, unknown> {
  return Object.fromEntries(
    objects.map((object) => {
      const { data } = object as { data?: Record<string, string> };
      const plain = data === undefined ? object : { ...object, data: parse(data['job.yaml'] ?? '') as unknown };
      return [`${object.kind} ${object.metadata.name}`, plain];
    }),
  );
}

/** What the overlay for monitoring adds. */
const isForWatching = ({ kind, metadata: { labels } }: Manifest): boolean =>
  kind === 'PodMonitor' || kind === 'PrometheusRule' || labels['grafana_dashboard'] === '1';

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;

describe.skipIf(!hasKubectl)('overlays (need kubectl)', () => {
  it.each(Object.entries(meant))('%s is what "job render" prints', (name, job) => {
    const built = execFileSync('kubectl', ['kustomize', overlay(name)], { encoding: 'utf8' });
    const objects = parseAllDocuments(built).map((document) => document.toJS() as Manifest);
    expect(byName(objects.filter((object) => !isForWatching(object)))).toEqual(byName(renderJob(job)));
  });

  it.each(combined)('components %j together are what "job render" prints', (names, job) => {
    const folder = mkdtempSync(join(tmpdir(), 'showtell-overlay-'));
    const at = (name: string): string => relative(realpathSync(folder), join(deploy, name));
    const components = names.map((name) => at(`components/${name}`));
    writeFileSync(join(folder, 'kustomization.yaml'), stringify({ resources: [at('base')], components }));
    const built = execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    const objects = parseAllDocuments(built).map((document) => document.toJS() as Manifest);
    expect(byName(objects)).toEqual(byName(renderJob(job)));
  });
});

describe.skipIf(noKube !== null)(`a real API server${noKube === null ? '' : ` (skipped: ${noKube})`}`, () => {
  let kube: Kube;

  beforeAll(async () => {
    kube = await Kube.start();
    kube.must(['apply', '--server-side', '-k', join(deploy, 'crd')]);
    kube.must(['wait', '--for=condition=Established', 'crd/trainingjobs.showtell.dev', '--timeout=30s']);
  }, 1_200_000);
  afterAll(() => kube[Symbol.dispose]());

  const namespace = (name: string): string[] => {
    kube.must(['create', 'namespace', name]);
    return ['-n', name];
  };
  const get = (args: readonly string[]): unknown => JSON.parse(kube.must(['get', '-o', 'json', ...args]));
  const apply = (where: readonly string[], content: object) =>
    kube.kubectl(['apply', '--server-side', '--validate=strict', ...where, '-f', '-'], stringify(content));
  const trainingJob = (name: string, fields: object) => ({
    apiVersion,
    kind: 'TrainingJob',
    metadata: { name },
    spec: fields,
  });

  it('has no objection to a structural schema of these rules', () => {
    const { status } = get(['crd', 'trainingjobs.showtell.dev']) as { status: { conditions: { type: string }[] } };
    expect(status.conditions.map(({ type }) => type)).not.toContain('NonStructuralSchema');
  });

  it('takes what serves a checkpoint, and a second time changes nothing', () => {
    const where = namespace('serving');
    const again = (): string =>
      kube.must([
        ...['apply', '--server-side', '--validate=strict', '-k', join(deploy, 'serve'), ...where],
        ...['-o', 'jsonpath={.items[*].metadata.name}:{.items[*].metadata.generation}'],
      ]);
    const first = again();
    expect(first).toMatch(/^(showtell-serve ?){4}:/);
    expect(again()).toBe(first);
    kube.must([
      'wait',
      '--for=create',
      'pod',
      '-l',
      'app.kubernetes.io/name=showtell-serve',
      '--timeout=60s',
      ...where,
    ]);
  });

  it.each(['local', 'gpu', 'spot', 'shards', 'tls'])(
    'takes the overlay %s strictly, and a second time changes nothing',
    (name) => {
      const where = namespace(`overlay-${name}`);
      const again = (): string[] => {
        const text = kube.must([
          ...['apply', '--server-side', '--validate=strict', '-k', overlay(name), ...where],
          ...['-o', 'jsonpath={.items[*].metadata.name}:{.items[*].metadata.generation}'],
        ]);
        return text.split(':');
      };
      const first = again();
      expect(first[0]?.split(' ').length).toBeGreaterThanOrEqual(12);
      expect(again()).toEqual(first);
      const { items } = get(['job', ...where]) as { items: { metadata: { generation: number } }[] };
      expect(items.map(({ metadata }) => metadata.generation)).toEqual([1]);
    },
  );

  it('takes the overlay monitoring with the prometheus-operator’s definitions', (context) => {
    if (!installPrometheusDefinitions(kube)) return context.skip('no Go, or its module proxy is out of reach');
    const where = namespace('overlay-monitoring');
    kube.must(['apply', '--server-side', '--validate=strict', '-k', overlay('monitoring'), ...where]);
    expect(
      kube
        .must(['get', 'podmonitor,prometheusrule', '-o', 'name', ...where])
        .trim()
        .split('\n'),
    ).toEqual(['podmonitor.monitoring.coreos.com/showtell', 'prometheusrule.monitoring.coreos.com/showtell']);
    const dashboards = kube.must(['get', 'configmap', '-l', 'grafana_dashboard', '-o', 'name', ...where]);
    expect(dashboards.trim().split('\n')).toHaveLength(4);
  });

  it('fills in the defaults that the job file has', () => {
    const given = { job: { seed: 5, batch: { examples: 8 } }, workers: { replicas: 4 } };
    expect(apply([], trainingJob('defaults', given))).toMatchObject({ code: 0 });
    const stored = get(['trainingjob', 'defaults']) as { spec: object };
    expect(parseTrainingJob(stored, 'stored')).toMatchObject({
      spec: parseTrainingJob(trainingJob('defaults', given), 'given').spec,
    });
    expect(stored.spec).toMatchObject({
      job: {
        model: { encoder: { name: 'inception_v3' }, decoder: { units: 512 } },
        phases: { decoderOnly: { decay: { factor: 0.5 } } },
      },
    });
  });

  it('keeps a null that is no default', () => {
    const given = { job: { phases: { decoderOnly: { decay: null } } } };
    expect(apply([], trainingJob('no-decay', given))).toMatchObject({ code: 0 });
    const stored = get(['trainingjob', 'no-decay']);
    expect(parseTrainingJob(stored, 'stored').spec.job.phases.decoderOnly.decay).toBeNull();
  });

  it.each([
    ['a typo', { job: { batch: { exampels: 8 } } }, 'spec.job.batch.exampels'],
    ['a typo beside the job', { workers: { replica: 8 } }, 'spec.workers.replica'],
    ['a preset, which is for files', { job: { preset: 'demo' } }, 'spec.job.preset'],
    ['a value out of range', { job: { optimizer: { clip: 0 } } }, 'spec.job.optimizer.clip'],
    ['units that do not divide', { job: { batch: { examples: 3, units: 2 } } }, 'spec.job.batch'],
    ['GPUs for a job on the CPU', { workers: { gpus: 1 } }, 'workers.gpus'],
  ])('refuses %s by the field’s name', (_, fields, name) => {
    const { code, output } = apply([], trainingJob('wrong', fields));
    expect(code).not.toBe(0);
    expect(output).toContain(name);
  });

  it('scales a TrainingJob', () => {
    expect(apply([], trainingJob('scaled', { workers: { replicas: 2 } }))).toMatchObject({ code: 0 });
    kube.must(['scale', 'trainingjob/scaled', '--replicas=3']);
    expect(get(['trainingjob', 'scaled'])).toMatchObject({ spec: { workers: { replicas: 3 } } });
  });

  it('has pods made of the objects: the coordinator’s, nats-server’s and each worker’s', async () => {
    const where = namespace('rendered');
    const objects = renderJob(parseTrainingJob({ preset: 'demo' }, 'the preset', { name: 'a', workers: 3 }));
    const text = objects.map((object) => stringify(object)).join('---\n');
    kube.must(['apply', '--server-side', '--validate=strict', '-f', '-', ...where], text);
    kube.must(['wait', '--for=jsonpath={.status.active}=3', 'job/a-worker', '--timeout=60s', ...where]);
    kube.must(['wait', '--for=create', 'pod/a-coordinator-0', 'pod/a-nats-0', '--timeout=60s', ...where]);
    const { items } = get(['pvc', ...where]) as { items: Manifest[] };
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['runs-a-coordinator-0']);
    kube.must(['delete', 'statefulset/a-coordinator', ...where]);
    expect(kube.must(['get', 'pvc', '-o', 'name', ...where]).trim()).toBe('persistentvolumeclaim/runs-a-coordinator-0');
  });
});

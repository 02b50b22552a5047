import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { customResourceDefinition } from '@showtell/coordinator/kubernetes/custom-resource.js';
import type { Manifest } from '@showtell/coordinator/kubernetes/manifest.js';
import { operatorObjects } from '@showtell/coordinator/kubernetes/operator/deployment.js';
import { valueOf } from '@showtell/coordinator/kubernetes/quantity.js';
import { renderJob } from '@showtell/coordinator/kubernetes/render.js';
import { servingObjects } from '@showtell/coordinator/kubernetes/serving.js';
import { apiVersion, parseTrainingJob } from '@showtell/coordinator/kubernetes/training-job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';

const resource = (spec: object) => ({ apiVersion, kind: 'TrainingJob', metadata: { name: 'a', namespace: 'n' }, spec });
const render = (spec: object) => renderJob(parseTrainingJob(resource(spec), 'a.yaml'));

/** One object's content. */
function find(objects: readonly Manifest[], kind: string, name: string) {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found as Manifest & { spec: Record<string, unknown>; data: Record<string, string> };
}

describe('the objects of a job', () => {
  it('are named, labelled and in its namespace', () => {
    const objects = render({});
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual(
      [
        ...['nats', 'coordinator', 'worker'].flatMap((role) => [`NetworkPolicy a-${role}`, `ServiceAccount a-${role}`]),
        ...['Service a-nats', 'Service a-coordinator', 'StatefulSet a-nats', 'StatefulSet a-coordinator'],
        ...['ConfigMap a-job', 'Job a-worker', 'PodDisruptionBudget a-worker'],
      ].sort(),
    );
    for (const { metadata } of objects)
      expect(metadata).toMatchObject({ namespace: 'n', labels: { 'app.kubernetes.io/instance': 'a' } });
  });

  it('are of images with exact tags, by default', () => {
    const exact = /^[\w/-]+:\d+\.\d+\.\d+(-\w+)*$/;
    const gpus = { job: { engine: { device: 'cuda' }, cluster: { parameterShards: 2 } }, workers: { gpus: 1 } };
    const all = [...render(gpus), ...render({}), ...operatorObjects(), ...servingObjects('a')];
    const images = JSON.stringify(all).match(/(?<="image":")[^"]+/g) ?? [];
    expect(new Set(images).size).toBe(4);
    for (const image of images) expect(image).toMatch(exact);
    const dockerfile = readFileSync('deploy/images/Dockerfile', 'utf8');
    const [, base = ''] = /^ARG NODE=(.*)$/m.exec(dockerfile) ?? [];
    expect(base).toMatch(exact);
    const stages = [...dockerfile.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, name]) => name);
    for (const [, from = ''] of dockerfile.matchAll(/^FROM (\S+)/gm)) expect(['${NODE}', ...stages]).toContain(from);
  });

  it('hand pods the whole job, its numeric fields as they are, without shared memory', () => {
    const job = { seed: 9, batch: { examples: 8, units: 2 }, data: { directory: '/elsewhere' } };
    const text = find(render({ job }), 'ConfigMap', 'a-job').data['job.yaml'] ?? '';
    const whole = parseJob(job);
    expect(parse(text)).toEqual({
      ...whole,
      data: { maxCorruptRecords: 0 },
      cluster: { ...whole.cluster, sharedMemory: false },
    });
  });

  it('have as many workers as told, in a queue that only completion ends', () => {
    const { spec } = find(render({ workers: { replicas: 5 } }), 'Job', 'a-worker');
    expect(spec).toMatchObject({ parallelism: 5, suspend: false });
    expect(spec).not.toHaveProperty('completions');
    expect(find(render({ workers: { replicas: 5 } }), 'PodDisruptionBudget', 'a-worker').spec).toMatchObject({
      minAvailable: 2,
    });
    expect(render({ workers: { replicas: 1 } }).map(({ kind }) => kind)).not.toContain('PodDisruptionBudget');
  });

  it('replace a pod that never became ready, and let one go that is not', () => {
    const objects = render({ job: { cluster: { parameterShards: 3 } } });
    const sets = objects.filter(({ kind }) => kind === 'StatefulSet');
    expect(sets.map(({ metadata }) => metadata.name)).toEqual(['a-nats', 'a-ps', 'a-coordinator']);
    for (const set of sets) expect(set).toMatchObject({ spec: { podManagementPolicy: 'Parallel' } });
    expect(find(objects, 'PodDisruptionBudget', 'a-worker').spec).toMatchObject({
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    });
  });

  it('start the coordinator anew with another job file, and with nothing else', () => {
    const template = (spec: object): unknown => find(render(spec), 'StatefulSet', 'a-coordinator').spec['template'];
    const before = template({ job: { phases: { decoderOnly: { steps: 10 } } } });
    expect(template({ job: { phases: { decoderOnly: { steps: 20 } } } })).not.toEqual(before);
    expect(template({ job: { phases: { decoderOnly: { steps: 10 } } }, workers: { replicas: 9 } })).toEqual(before);
  });

  it('stand still when suspended, and keep their volume', () => {
    const objects = render({ suspend: true, activeDeadlineSeconds: 60 });
    expect(find(objects, 'Job', 'a-worker').spec).toMatchObject({ suspend: true, activeDeadlineSeconds: 60 });
    for (const name of ['a-nats', 'a-coordinator'])
      expect(find(objects, 'StatefulSet', name).spec).toMatchObject({ replicas: 0 });
    expect(find(objects, 'StatefulSet', 'a-coordinator').spec).toMatchObject({
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    });
  });

  it('have shards of the parameter server where the job file asks for several, which the coordinator is told of', () => {
    expect(render({}).some(({ metadata }) => metadata.name === 'a-ps')).toBe(false);
    const objects = render({ job: { cluster: { parameterShards: 3 } } });
    const set = objects.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'a-ps');
    expect(set).toMatchObject({ spec: { replicas: 3, serviceName: 'a-ps' } });
    expect(JSON.stringify(objects)).toContain('"--shards","a-ps-0.a-ps:50052,a-ps-1.a-ps:50052,a-ps-2.a-ps:50052"');
    const suspended = render({ suspend: true, job: { cluster: { parameterShards: 3 } } });
    const still = suspended.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'a-ps');
    expect(still).toMatchObject({ spec: { replicas: 0 } });
  });

  describe('with the data in a bucket', () => {
    const of = (objects: readonly Manifest[], kind: string, role: string): string =>
      JSON.stringify(objects.find(({ metadata, ...object }) => object.kind === kind && metadata.name === `a-${role}`));

    it('keep it on a volume of the job’s own NATS, and shards on the nodes', () => {
      const objects = render({ storage: { data: { bucket: 'b', size: '7Gi', cache: '2Gi' } } });
      expect(of(objects, 'StatefulSet', 'nats')).toContain('"storage":"7Gi"');
      for (const pods of [of(objects, 'StatefulSet', 'coordinator'), of(objects, 'Job', 'worker')]) {
        expect(pods).toContain('"--data","nats://a-nats:4222/b"');
        expect(pods).toContain('{"name":"shards","emptyDir":{"sizeLimit":"2Gi"}}');
        expect(pods).toContain('{"name":"SHOWTELL_CACHE","value":"/var/cache/showtell"}');
        expect(pods).not.toContain('"persistentVolumeClaim"');
      }
      expect(JSON.stringify(objects)).toContain(`cacheBytes: ${2 * 2 ** 30}`);
    });

    it('mount a claim beside it where one is named, and reach a NATS that is there already', () => {
      const data = { bucket: 'b', nats: 'nats://nats.data:4333', claim: 'weights' };
      const objects = render({ storage: { data } });
      expect(of(objects, 'StatefulSet', 'nats')).not.toContain('volumeClaimTemplates');
      expect(of(objects, 'Job', 'worker')).toContain('"--data","nats://nats.data:4333/b"');
      expect(of(objects, 'Job', 'worker')).toContain('"claimName":"weights"');
      expect(of(objects, 'NetworkPolicy', 'worker')).toContain('{"ports":[{"protocol":"TCP","port":4333}]}');
      expect(() => render({ storage: { data: { nats: 'nats://nats.data' } } })).toThrow('storage.data.bucket');
    });
  });

  it.each([
    ['500m', 0.5],
    ['2', 2],
    ['1.5Gi', 1.5 * 2 ** 30],
    ['20G', 20e9],
  ])('read the quantity %s', (text, value) => {
    expect(valueOf(text)).toBe(value);
  });

  it('give each role the Secret of its own, and nobody one unless asked', () => {
    const objects = render({ tls: 'lab', storage: { data: { bucket: 'b' } } });
    for (const [kind, role] of [
      ['StatefulSet', 'nats'],
      ['StatefulSet', 'coordinator'],
      ['Job', 'worker'],
    ] as const) {
      const { spec } = find(objects, kind, `a-${role}`) as unknown as {
        spec: { template: { spec: { volumes: object[]; containers: Record<string, unknown>[] } } };
      };
      const { volumes, containers } = spec.template.spec;
      expect(volumes).toContainEqual({ name: 'tls', secret: { secretName: `lab-${role}`, defaultMode: 0o440 } });
      const [container] = containers;
      expect(container?.['volumeMounts']).toContainEqual({
        name: 'tls',
        mountPath: '/etc/showtell-tls',
        readOnly: true,
      });
      if (role !== 'nats')
        expect(container?.['env']).toContainEqual({ name: 'SHOWTELL_TLS', value: '/etc/showtell-tls' });
      else {
        expect(container).toMatchObject({ workingDir: '/etc/showtell-tls' });
        expect((container?.['args'] as string[]).slice(0, 2)).toEqual(['-c', 'nats.conf']);
      }
    }
    expect(JSON.stringify(render({}))).not.toMatch(/tls/i);
  });

  it.each([
    ['http://collector.monitoring:4318', 4318],
    ['https://traces.example.org/otlp', 443],
    ['http://collector.monitoring', 80],
  ])('send traces to a collector that is named, %s, and reach its port', (endpoint, port) => {
    const job = { cluster: { parameterShards: 2 } };
    const objects = render({ job, tracing: { endpoint, ratio: 0.5 } });
    for (const [kind, role] of [
      ['StatefulSet', 'coordinator'],
      ['StatefulSet', 'ps'],
      ['Job', 'worker'],
    ] as const) {
      const { spec } = find(objects, kind, `a-${role}`) as unknown as {
        spec: { template: { spec: { containers: { env: object[] }[] } } };
      };
      expect(spec.template.spec.containers[0]?.env, role).toEqual(
        expect.arrayContaining([
          { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: endpoint },
          { name: 'OTEL_TRACES_SAMPLER', value: 'parentbased_traceidratio' },
          { name: 'OTEL_TRACES_SAMPLER_ARG', value: '0.5' },
        ]),
      );
      const { egress } = find(objects, 'NetworkPolicy', `a-${role}`).spec as { egress: object[] };
      expect(egress, role).toContainEqual({ ports: [{ protocol: 'TCP', port }] });
      expect(JSON.stringify(egress), role).toContain('"port":53');
    }
    expect(JSON.stringify(render({ job }))).not.toContain('OTEL');
    expect(() => render({ tracing: { endpoint: 'collector:4318' } })).toThrow('spec.tracing.endpoint');
  });

  it('run as nobody, with a root that cannot be written and no token', () => {
    const pods = render({ workers: { gpus: 1 }, job: { engine: { device: 'cuda' } } }).flatMap(({ spec }) => {
      const { template } = (spec ?? {}) as { template?: { spec: Record<string, unknown> } };
      return template === undefined ? [] : [template.spec];
    });
    expect(pods).toHaveLength(3);
    for (const pod of pods) {
      expect(pod).toMatchObject({ automountServiceAccountToken: false, securityContext: { runAsNonRoot: true } });
      for (const container of pod['containers'] as object[])
        expect(container).toMatchObject({
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        });
    }
  });
});

describe('a TrainingJob', () => {
  it('is made of a job file, its preset and what the command line says', () => {
    const job = parseTrainingJob({ preset: 'demo', seed: 4 }, 'j', { name: 'b', workers: 3, claim: 'c' });
    expect(job).toMatchObject({
      name: 'b',
      spec: { job: { seed: 4, batch: { examples: 64 } }, workers: { replicas: 3 }, storage: { data: { claim: 'c' } } },
    });
  });

  it.each([
    ['a typo of the job', { job: { batch: { exampels: 1 } } }, 'spec.job.batch.exampels: no such field'],
    ['a typo beside it', { worker: {} }, 'spec.worker: no such field'],
    ['GPUs for a job on the CPU', { workers: { gpus: 1 } }, 'spec.workers.gpus: 1 do not go with'],
    ['no quantity', { storage: { runs: { size: 'big' } } }, 'spec.storage.runs.size: a quantity'],
    ['units that do not divide', { job: { batch: { examples: 3, units: 2 } } }, 'spec.job.batch.units: 3 examples'],
  ])('with %s is refused by the field’s name', (_, spec, problem) => {
    expect(() => render(spec)).toThrow(problem);
  });

  it('cannot have a name too long for its pods', () => {
    expect(() => parseTrainingJob({}, 'j', { name: 'x'.repeat(41) })).toThrow('metadata.name: lower-case letters');
    const named = { name: 'x'.repeat(41) };
    expect(() => parseTrainingJob(named, 'j')).toThrow('metadata.name: lower-case letters');
    expect(parseTrainingJob(named, 'j', { name: 'x' }).name).toBe('x');
  });

  it.each([
    [{ workers: 1e12 }, 'spec.workers.replicas: '],
    [{ bucket: 'a.b>' }, 'spec.storage.data.bucket: letters'],
    [{ claim: 'x y' }, 'spec.storage.data.claim: lower-case letters'],
    [{ claim: '' }, 'spec.storage.data.claim: lower-case letters'],
    [{ namespace: 'a/b' }, 'metadata.namespace: lower-case letters'],
    [{ name: '-a' }, 'metadata.name: lower-case letters'],
  ])('is checked with what the command line says: %j', (over, problem) => {
    expect(() => parseTrainingJob({}, 'j', over)).toThrow(problem);
  });

  it('keeps what a TrainingJob says where the command line says nothing', () => {
    const storage = { data: { claim: 'a', bucket: 'b', subPath: 'c' } };
    const content = { ...resource({ workers: { replicas: 5, preemptible: true }, storage }) };
    expect(parseTrainingJob(content, 'j', { claim: 'd' }).spec).toMatchObject({
      workers: { replicas: 5, preemptible: true },
      storage: { data: { ...storage.data, claim: 'd' } },
    });
    expect(parseTrainingJob(content, 'j', { workers: 6 }).spec.workers).toMatchObject({
      replicas: 6,
      preemptible: true,
    });
  });
});

describe('the CustomResourceDefinition', () => {
  it('has a structural schema: no composition, no closed object, no reference', () => {
    const text = JSON.stringify(customResourceDefinition());
    expect(text).not.toMatch(/"(anyOf|oneOf|allOf|\$ref|const|propertyNames|\$schema)"/);
    expect(text).not.toContain('"additionalProperties":false');
  });
});

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { customResourceDefinition } from '@showtell/coordinator/kubernetes/custom-resource.js';
import type { Manifest } from '@showtell/coordinator/kubernetes/manifest.js';
import { renderJob } from '@showtell/coordinator/kubernetes/render.js';
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

  it('stand still when suspended, and keep their volume', () => {
    const objects = render({ suspend: true, activeDeadlineSeconds: 60 });
    expect(find(objects, 'Job', 'a-worker').spec).toMatchObject({ suspend: true, activeDeadlineSeconds: 60 });
    for (const name of ['a-nats', 'a-coordinator'])
      expect(find(objects, 'StatefulSet', name).spec).toMatchObject({ replicas: 0 });
    expect(find(objects, 'StatefulSet', 'a-coordinator').spec).toMatchObject({
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    });
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
    expect(() => parseTrainingJob({}, 'j', { name: 'x'.repeat(41) })).toThrow('cannot be a name');
  });
});

describe('the CustomResourceDefinition', () => {
  it('has a structural schema: no composition, no closed object, no reference', () => {
    const text = JSON.stringify(customResourceDefinition());
    expect(text).not.toMatch(/"(anyOf|oneOf|allOf|\$ref|const|propertyNames|\$schema)"/);
    expect(text).not.toContain('"additionalProperties":false');
  });
});

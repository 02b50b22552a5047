import { describe, expect, it } from 'vitest';
import type { KubeObject } from '@showtell/coordinator/kubernetes/cluster/resources.js';
import { farewell, saveFinalizer, type Departing } from '@showtell/coordinator/kubernetes/operator/farewell.js';
import { apiVersion } from '@showtell/coordinator/kubernetes/training-job.js';

const since = new Date('2026-01-01T00:00:00Z');
const after = (seconds: number): Date => new Date(since.getTime() + seconds * 1000);
const ownerReferences = [{ uid: 'u', controller: true }];
const metadata = { name: 'a', namespace: 'n', uid: 'u', finalizers: [saveFinalizer] };
const coordinator = (replicas: number): KubeObject => ({
  kind: 'StatefulSet',
  metadata: { name: 'a-coordinator', namespace: 'n', uid: 's', ownerReferences },
  spec: { replicas },
});
const workers = (suspend: boolean, end?: string): KubeObject => ({
  kind: 'Job',
  metadata: { name: 'a-worker', namespace: 'n', ownerReferences },
  spec: { suspend },
  status: { conditions: end === undefined ? [] : [{ type: end, status: 'True' }] },
});
const pod = (deletionTimestamp?: string): KubeObject => ({
  metadata: {
    name: 'a-coordinator-0',
    ownerReferences: [{ uid: 's' }],
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
  },
  spec: { terminationGracePeriodSeconds: 300 },
});
const look = (seen: Partial<Departing>) =>
  farewell({
    resource: { apiVersion, kind: 'TrainingJob', metadata },
    coordinator: coordinator(0),
    workers: workers(true),
    coordinatorPod: pod(after(300).toISOString()),
    since,
    now: after(1),
    ...seen,
  });

describe('what is done about a deleted TrainingJob', () => {
  it('ends workers and coordinator, and nothing else', () => {
    const { stop, released } = look({ coordinator: coordinator(1), workers: workers(false), coordinatorPod: pod() });
    expect(released).toBe(false);
    expect(stop.map(({ object, spec }) => [object.metadata.name, spec])).toEqual([
      ['a-worker', { suspend: true }],
      ['a-coordinator', { replicas: 0 }],
    ]);
    expect(look({ workers: workers(false, 'Complete') }).stop).toEqual([]);
  });

  it('waits for the coordinator’s pod, as long as its grace period and a minute', () => {
    expect(look({})).toEqual({ stop: [], released: false, overdue: false });
    expect(look({ coordinatorPod: null })).toEqual({ stop: [], released: true, overdue: false });
    expect(look({ now: after(359) }).released).toBe(false);
    expect(look({ now: after(361) })).toEqual({ stop: [], released: true, overdue: true });
  });

  it('does not let go of a pod that is about to be made, nor wait for ever for one that nobody ends', () => {
    expect(look({ coordinator: coordinator(1), coordinatorPod: null }).released).toBe(false);
    expect(look({ coordinatorPod: pod(), now: after(359) }).released).toBe(false);
    expect(look({ coordinatorPod: pod(), now: after(361) })).toMatchObject({ released: true, overdue: true });
  });

  it('has nothing to do with objects of others, with orphans, or where no object is', () => {
    const foreign = { ...coordinator(1), metadata: { name: 'a-coordinator', namespace: 'n', uid: 's' } };
    expect(look({ coordinator: foreign, workers: null })).toEqual({ stop: [], released: true, overdue: false });
    const resource = {
      apiVersion,
      kind: 'TrainingJob',
      metadata: { ...metadata, finalizers: [saveFinalizer, 'orphan'] },
    };
    expect(look({ resource, coordinator: coordinator(1) })).toMatchObject({ stop: [], released: true });
    expect(look({ coordinator: null, workers: null, coordinatorPod: null }).released).toBe(true);
    // What it owns was deleted first: the pod still saves.
    expect(look({ coordinator: null, workers: null }).released).toBe(false);
  });
});

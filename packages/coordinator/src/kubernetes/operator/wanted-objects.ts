import { createHash } from 'node:crypto';
import type { KubeObject } from '../cluster/resources.js';
import type { Manifest } from '../manifest.js';
import { nameOf } from '../naming.js';
import { renderJob } from '../render.js';
import { apiVersion, type TrainingJob } from '../training-job.js';
import { isAsWanted, type Observed } from './observed.js';

/** Kinds that a job may have at one time and not at another. */
const passing = ['PodDisruptionBudget', 'StatefulSet', 'Service', 'ServiceAccount', 'NetworkPolicy'];

export interface Standing {
  /** Why no pod is to be there; null: the job is to be at work. */
  readonly still: 'suspended' | 'ended' | null;
  /** Whether workers have yet to hear that the run is complete. */
  readonly waitsForWorkers: boolean;
  /** Whether the workers' Job is over. */
  readonly workersEnded: boolean;
}

/**
 * What "job render" prints, owned by the TrainingJob, as far as it is not there already.
 *
 * A job that stands still or has ended is rendered suspended. nats-server and the shards of the parameter server outlast the
 * coordinator, which saves what it reads from them.
 */
export function wantedObjects(
  job: TrainingJob,
  { resource, objects, coordinatorPod }: Observed,
  { still, waitsForWorkers, workersEnded }: Standing,
): { readonly apply: Manifest[]; readonly remove: KubeObject[]; readonly busy: boolean } {
  const suspend = still !== null && !waitsForWorkers;
  const rendered = renderJob({ ...job, spec: { ...job.spec, suspend } });
  const outlasting = [nameOf(job, 'nats'), nameOf(job, 'ps')];
  const wanted = rendered
    .filter(({ kind }) => !(kind === 'Job' && workersEnded))
    .filter(({ metadata }) => !(suspend && coordinatorPod !== null && outlasting.includes(metadata.name)))
    .map((manifest) => stamped(owned(asBegun(manifest, find(objects, manifest)), resource)));
  const apply = wanted.filter((manifest) => !isAsWanted(find(objects, manifest), manifest));
  const remove = objects
    .filter((object) => passing.includes(object.kind ?? '') && isOwned(object, resource.metadata.uid))
    .filter((object) => !rendered.some(({ kind, metadata }) => kind === object.kind && isNamed(object, metadata.name)));
  return { apply, remove, busy: waitsForWorkers || apply.length > 0 || (still !== null && coordinatorPod !== null) };
}

/** Objects of the job's names that are not its own; they are left alone. */
export function strangers(
  job: TrainingJob,
  { objects, resource }: Pick<Observed, 'objects' | 'resource'>,
): KubeObject[] {
  const names = new Set(renderJob(job).map(({ kind, metadata }) => `${kind} ${metadata.name}`));
  return objects.filter(
    ({ kind, metadata, ...object }) =>
      names.has(`${kind ?? ''} ${metadata.name}`) && !isOwned({ metadata, ...object }, resource.metadata.uid),
  );
}

const find = (objects: readonly KubeObject[], { kind, metadata }: Manifest): KubeObject | undefined =>
  objects.find((object) => object.kind === kind && isNamed(object, metadata.name));

const isNamed = ({ metadata }: KubeObject, name: string): boolean => metadata.name === name;

const isOwned = ({ metadata }: KubeObject, uid: string): boolean =>
  metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;

/** Whether the coordinator's pod is of the job's own StatefulSet: only then is what it says about this job. */
export function isOfJob(
  pod: KubeObject | null,
  objects: readonly KubeObject[],
  { metadata: { uid } }: Observed['resource'],
): boolean {
  const sets = objects.filter((object) => object.kind === 'StatefulSet' && isOwned(object, uid));
  return pod !== null && sets.some((set) => set.metadata.uid !== undefined && isOwned(pod, set.metadata.uid));
}

/** How many pods a StatefulSet or a Job is to have, which may change where the rest of it may not; null for others. */
export function podsOf({ kind, ...manifest }: Manifest): object | null {
  const { replicas, parallelism, suspend } = (manifest['spec'] ?? {}) as Readonly<Record<string, unknown>>;
  if (kind === 'StatefulSet') return { replicas };
  return kind === 'Job' ? { parallelism, suspend } : null;
}

/** With the TrainingJob as its owner, so that it goes with it. */
function owned(manifest: Manifest, { metadata: { name, uid, namespace } }: Observed['resource']): Manifest {
  const ownerReferences = [{ apiVersion, kind: 'TrainingJob', name, uid, controller: true, blockOwnerDeletion: true }];
  return { ...manifest, metadata: { ...manifest.metadata, namespace, ownerReferences } } as Manifest;
}

/** A StatefulSet of an earlier version keeps how it starts its pods, which cannot be changed. */
function asBegun(manifest: Manifest, there: KubeObject | undefined): Manifest {
  if (manifest.kind !== 'StatefulSet' || there === undefined) return manifest;
  const { podManagementPolicy = 'OrderedReady' } = (there['spec'] ?? {}) as { readonly podManagementPolicy?: string };
  return { ...manifest, spec: { ...(manifest['spec'] as object), podManagementPolicy } };
}

/**
 * With its hash as an annotation: a field that is wanted no more is not there to be compared, and goes when the object is
 * applied for its hash.
 */
function stamped(manifest: Manifest): Manifest {
  const hash = createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
  return {
    ...manifest,
    metadata: { ...manifest.metadata, annotations: { 'showtell.dev/applied-sha256': hash } },
  } as Manifest;
}

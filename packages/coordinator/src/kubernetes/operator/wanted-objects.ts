import { refOf } from '../cluster/cluster.js';
import type { KubeObject, Ref } from '../cluster/resources.js';
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
): { readonly apply: Manifest[]; readonly remove: Ref[]; readonly busy: boolean } {
  const suspend = still !== null && !waitsForWorkers;
  const rendered = renderJob({ ...job, spec: { ...job.spec, suspend } });
  const outlasting = [nameOf(job, 'nats'), nameOf(job, 'ps')];
  const wanted = rendered
    .filter(({ kind }) => !(kind === 'Job' && workersEnded))
    .filter(({ metadata }) => !(suspend && coordinatorPod !== null && outlasting.includes(metadata.name)))
    .map((manifest) => owned(manifest, resource));
  const apply = wanted.filter((manifest) => !isAsWanted(find(objects, manifest), manifest));
  const remove = objects
    .filter((object) => passing.includes(object.kind ?? '') && isOwned(object, resource.metadata.uid))
    .filter((object) => !rendered.some(({ kind, metadata }) => kind === object.kind && isNamed(object, metadata.name)))
    .map(refOf);
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

/** With the TrainingJob as its owner, so that it goes with it. */
function owned(manifest: Manifest, { metadata: { name, uid, namespace } }: Observed['resource']): Manifest {
  const ownerReferences = [{ apiVersion, kind: 'TrainingJob', name, uid, controller: true, blockOwnerDeletion: true }];
  return { ...manifest, metadata: { ...manifest.metadata, namespace, ownerReferences } } as Manifest;
}

import type { Readable } from 'node:stream';
import { ShowtellError } from '@showtell/shared/errors.js';
import { ApiFailure } from './cluster/api-failure.js';
import { Cluster, refOf } from './cluster/cluster.js';
import { Connection } from './cluster/connection.js';
import { asShowtellError } from './cluster/explain.js';
import { selectorText, type KubeObject, type Ref } from './cluster/resources.js';
import type { Manifest } from './manifest.js';
import { metadataOf, nameOf, selectorOf, type Role } from './naming.js';
import { hasSaveFinalizer } from './operator/farewell.js';
import { objectKinds } from './operator/object-kinds.js';
import type { TrainingJobStatus } from './operator/status.js';
import { renderJob } from './render.js';
import { apiVersion, type TrainingJob } from './training-job.js';

/** A job as it is found in a cluster: a TrainingJob, or plain manifests that "job render" has printed. */
export type FoundJob =
  | { readonly kind: 'TrainingJob'; readonly object: KubeObject; readonly status: TrainingJobStatus }
  | { readonly kind: 'plain'; readonly workers: KubeObject };

export type Submitted = 'created' | 'configured' | 'unchanged';

/**
 * Jobs of a cluster, for the command line. Its failures are ShowtellErrors that say what to do.
 */
export class JobClient {
  private constructor(
    private readonly cluster: Cluster,
    readonly namespace: string,
  ) {}

  /**
   * @param context of the kubeconfig; null: the current one
   * @param namespace null: the context's
   * @throws ShowtellError `kubernetes/no-cluster`
   */
  static open(context: string | null, namespace: string | null): JobClient {
    const cluster = new Cluster(Connection.open(context));
    return new JobClient(cluster, namespace ?? cluster.namespace);
  }

  /**
   * Applies a TrainingJob, or its objects themselves.
   * @returns for each object what has come of it
   */
  async submit(
    job: TrainingJob,
    { plain, dryRun }: { readonly plain: boolean; readonly dryRun: boolean },
  ): Promise<{ readonly object: string; readonly result: Submitted }[]> {
    const inPlace = { ...job, namespace: this.namespace };
    const { metadata } = { metadata: metadataOf(inPlace, job.name) };
    const resource: Manifest = { apiVersion, kind: 'TrainingJob', metadata, spec: job.spec };
    const done: { object: string; result: Submitted }[] = [];
    for (const manifest of plain ? renderJob(inPlace) : [resource]) {
      const object = `${manifest.kind.toLowerCase()}/${manifest.metadata.name}`;
      const result = await this.about(object, async () => {
        const before = await this.cluster.get(refOf(manifest));
        if (before?.metadata.deletionTimestamp !== undefined)
          throw new ShowtellError('kubernetes/being-deleted', { what: object });
        const after = await this.cluster.apply(manifest, { force: true, dryRun });
        if (before === null) return 'created';
        return before.metadata.resourceVersion === after.metadata.resourceVersion ? 'unchanged' : 'configured';
      });
      done.push({ object, result });
    }
    return done;
  }

  /** @throws ShowtellError `kubernetes/not-found` */
  async find(name: string): Promise<FoundJob> {
    const object = await this.about(`job ${name}`, () => this.trainingJob(name));
    if (object !== null) return { kind: 'TrainingJob', object, status: object['status'] ?? {} };
    const workers = await this.about(`job ${name}`, () =>
      this.cluster.get(this.ref('Job', nameOf({ name }, 'worker'))),
    );
    if (workers !== null) return { kind: 'plain', workers };
    throw new ShowtellError('kubernetes/not-found', { what: `job ${name} in the namespace ${this.namespace}` });
  }

  /** Sets how many workers there are to be. */
  async scale(name: string, replicas: number): Promise<void> {
    const { kind } = await this.find(name);
    await this.about(`job ${name}`, () =>
      kind === 'TrainingJob'
        ? this.cluster.merge(this.ref('TrainingJob', name), { spec: { replicas } }, '/scale')
        : this.cluster.merge(this.ref('Job', nameOf({ name }, 'worker')), { spec: { parallelism: replicas } }),
    );
  }

  /**
   * Deletes a job and all that it has, the volume of its runs aside.
   * @returns the objects that were told to go, and whether an operator has yet to let them go when the coordinator has saved
   */
  async delete(name: string): Promise<{ readonly objects: string[]; readonly awaitsOperator: boolean }> {
    const found = await this.find(name);
    const refs = found.kind === 'TrainingJob' ? [this.ref('TrainingJob', name)] : await this.plainObjects(name);
    for (const ref of refs) await this.about(`job ${name}`, () => this.cluster.delete(ref));
    return {
      objects: refs.map((ref) => `${ref.kind.toLowerCase()}/${ref.name}`),
      awaitsOperator: found.kind === 'TrainingJob' && hasSaveFinalizer(found.object),
    };
  }

  /** A role's pods, by name. @throws ShowtellError `kubernetes/not-found` where there is none */
  async pods(name: string, role: Role): Promise<string[]> {
    await this.find(name);
    const { items } = await this.about(`job ${name}`, () =>
      this.cluster.list('Pod', this.namespace, selectorText(selectorOf({ name }, role))),
    );
    if (items.length > 0) return items.map(({ metadata }) => metadata.name).sort();
    throw new ShowtellError('kubernetes/not-found', { what: `${role} pod of the job ${name} at this time` });
  }

  logs(pod: string, options: Parameters<Cluster['logs']>[1]): Promise<Readable> {
    return this.about(`log of the pod ${pod}`, () =>
      this.cluster.logs({ namespace: this.namespace, name: pod }, options),
    );
  }

  /** Null also where the cluster knows no TrainingJobs. */
  private async trainingJob(name: string): Promise<KubeObject | null> {
    try {
      return await this.cluster.get(this.ref('TrainingJob', name));
    } catch (error) {
      if (error instanceof ApiFailure && error.isUnknownKind) return null;
      throw error;
    }
  }

  private async plainObjects(name: string): Promise<Ref[]> {
    const { labels } = metadataOf({ name, namespace: undefined }, name);
    const lists = await Promise.all(
      objectKinds.map((kind) =>
        this.about(`job ${name}`, () => this.cluster.list(kind, this.namespace, selectorText(labels))),
      ),
    );
    return lists.flatMap(({ items }) => items.map(refOf));
  }

  private ref<K extends Ref['kind']>(kind: K, name: string) {
    return { kind, name, namespace: this.namespace };
  }

  private async about<T>(what: string, asked: () => Promise<T>): Promise<T> {
    try {
      return await asked();
    } catch (error) {
      throw asShowtellError(error, what);
    }
  }
}

import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Manifest } from '../manifest.js';
import { ApiFailure } from './api-failure.js';
import type { Connection } from './connection.js';
import { pathOf, resources, type Kind, type KubeObject, type Ref } from './resources.js';

/** Who writes the fields that showtell applies. */
const fieldManager = 'showtell';

const applyPatch = 'application/apply-patch+yaml';

export interface ApplyOptions {
  /** Whether fields that somebody else has written are taken over; otherwise it is refused (409). */
  readonly force: boolean;
  /** Only the checks. */
  readonly dryRun?: boolean;
}

export interface LogsOptions {
  readonly container: string;
  readonly follow: boolean;
  /** Lines from the end; null: all. */
  readonly tail: number | null;
}

/** The objects of a cluster that showtell reads and writes. Its failures are {@link ApiFailure} and ShowtellErrors. */
export class Cluster {
  constructor(private readonly connection: Connection) {}

  get server(): string {
    return this.connection.server;
  }

  get namespace(): string {
    return this.connection.namespace;
  }

  /** Null where there is no such object; a kind that is unknown to the server fails. */
  async get(ref: Ref): Promise<KubeObject | null> {
    return absentAsNull(
      this.connection.request({ method: 'GET', path: objectPath(ref) }),
    ) as Promise<KubeObject | null>;
  }

  /** Objects in a namespace, or in every one (null), and the state of the cluster that this is. */
  async list(
    kind: Kind,
    namespace: string | null,
    labelSelector?: string,
    fieldSelector?: string,
  ): Promise<{ readonly items: readonly KubeObject[]; readonly resourceVersion: string }> {
    const list = await this.connection.request({
      method: 'GET',
      path: pathOf(kind, namespace),
      query: { labelSelector, fieldSelector },
    });
    const { items, metadata } = list as { items: KubeObject[]; metadata: { resourceVersion: string } };
    // Items of a list do not say what they are.
    const header = { apiVersion: resources[kind].apiVersion, kind };
    return { items: items.map((item) => ({ ...header, ...item })), resourceVersion: metadata.resourceVersion };
  }

  /** Makes an object be as the manifest says, by server-side apply with strict fields. */
  async apply(manifest: Manifest, { force, dryRun }: ApplyOptions): Promise<KubeObject> {
    const applied = await this.connection.request({
      method: 'PATCH',
      path: objectPath(refOf(manifest)),
      query: {
        fieldManager,
        force: String(force),
        fieldValidation: 'Strict',
        dryRun: dryRun === true ? 'All' : undefined,
      },
      body: manifest,
      contentType: applyPatch,
    });
    return applied as KubeObject;
  }

  /**
   * Writes a TrainingJob's status whole.
   * @param uid of the TrainingJob
   * @returns false, nothing being written, when that is gone, whatever has its name now
   */
  async applyStatus(ref: Ref, uid: string, status: object): Promise<boolean> {
    const { apiVersion } = resources[ref.kind];
    const there = await this.get(ref);
    if (there?.metadata.uid !== uid) return false;
    // A uid is not looked at where a status is written; by its version it is this very object, or a conflict (409).
    const { name, namespace, resourceVersion } = there.metadata;
    await this.connection.request({
      method: 'PATCH',
      path: `${objectPath(ref)}/status`,
      query: { fieldManager, force: 'true' },
      body: { apiVersion, kind: ref.kind, metadata: { name, namespace, resourceVersion }, status },
      contentType: applyPatch,
    });
    return true;
  }

  /** Changes fields of one object, the rest left as it is. */
  async merge(ref: Ref, fields: object, subresource = ''): Promise<KubeObject> {
    const merged = await this.connection.request({
      method: 'PATCH',
      path: `${objectPath(ref)}${subresource}`,
      query: { fieldManager, fieldValidation: 'Strict' },
      body: fields,
      contentType: 'application/merge-patch+json',
    });
    return merged as KubeObject;
  }

  async create(ref: Ref, fields: object): Promise<KubeObject> {
    const { kind, namespace, name } = ref;
    const { apiVersion } = resources[kind];
    const body = { apiVersion, kind, metadata: { name, namespace }, ...fields };
    return (await this.connection.request({ method: 'POST', path: pathOf(kind, namespace), body })) as KubeObject;
  }

  /** Checks whether an object of this content could be made, whatever is there by its name. @throws ApiFailure why not */
  async check({ kind, metadata: { name, ...metadata }, ...fields }: Manifest): Promise<void> {
    const path = pathOf(kind as Kind, metadata.namespace ?? null);
    const body = { kind, metadata: { ...metadata, generateName: `${name}-` }, ...fields };
    await this.connection.request({ method: 'POST', path, query: { dryRun: 'All', fieldValidation: 'Strict' }, body });
  }

  /** Writes an object that was read before; refused (409) when somebody else has written it since. */
  async replace(ref: Ref, object: KubeObject): Promise<KubeObject> {
    return (await this.connection.request({ method: 'PUT', path: objectPath(ref), body: object })) as KubeObject;
  }

  /**
   * Deletes an object, and then what it owns.
   * @param uid of the object; refused (409) when that is another by now. None: whichever is there
   * @returns false when there was none
   */
  async delete(ref: Ref, uid?: string): Promise<boolean> {
    const preconditions = uid === undefined ? {} : { preconditions: { uid } };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', ...preconditions };
    const deleted = this.connection.request({ method: 'DELETE', path: objectPath(ref), body });
    return (await absentAsNull(deleted)) !== null;
  }

  /**
   * Objects as they are now and whenever one changes, until the stream ends, as the server ends it every few minutes.
   * @param signal ends it
   */
  async *watch(
    kind: Kind,
    namespace: string | null,
    labelSelector: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<KubeObject> {
    const { items, resourceVersion } = await this.list(kind, namespace, labelSelector);
    yield* items;
    const seconds = 240;
    const stream = await this.connection.stream({
      method: 'GET',
      path: pathOf(kind, namespace),
      query: { labelSelector, watch: 'true', resourceVersion, timeoutSeconds: String(seconds) },
      signal: AbortSignal.any([signal, AbortSignal.timeout((seconds + 30) * 1000)]),
    });
    for await (const line of createInterface({ input: stream })) {
      const { type, object } = JSON.parse(line) as { type: string; object: KubeObject };
      // Such as a state of the cluster that the server no longer remembers: the next list tells all.
      if (type === 'ERROR') return;
      yield object;
    }
  }

  /** What a container has written. */
  async logs(pod: Omit<Ref, 'kind'>, { container, follow, tail }: LogsOptions): Promise<Readable> {
    return this.connection.stream({
      method: 'GET',
      path: `${objectPath({ kind: 'Pod', ...pod })}/log`,
      query: { container, follow: String(follow), tailLines: tail === null ? undefined : String(tail) },
    });
  }
}

/** @throws Error when the manifest names no namespace: showtell's objects are all in one */
export function refOf({ kind, metadata }: Manifest | KubeObject): Ref {
  const { name, namespace } = metadata;
  if (namespace === undefined) throw new Error(`${String(kind)} ${name} names no namespace`);
  return { kind: kind as Kind, namespace, name };
}

const objectPath = ({ kind, namespace, name }: Ref): string => `${pathOf(kind, namespace)}/${encodeURIComponent(name)}`;

async function absentAsNull(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 404 && !error.isUnknownKind) return null;
    throw error;
  }
}

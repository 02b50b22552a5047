import type { ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiFailure } from '@showtell/coordinator/kubernetes/cluster/api-failure.js';
import type { Connection } from '@showtell/coordinator/kubernetes/cluster/connection.js';
import type { KubeObject } from '@showtell/coordinator/kubernetes/cluster/resources.js';
import { serveLogs, type LogServer } from './kubelet-logs.js';
import { folderFor, startContainer, type ContainerSpec, type Probe } from './pod-process.js';

interface Pod extends KubeObject {
  readonly metadata: KubeObject['metadata'] & {
    readonly namespace: string;
    readonly uid: string;
    readonly deletionGracePeriodSeconds?: number;
  };
  readonly spec: {
    readonly nodeName?: string;
    readonly restartPolicy: string;
    readonly securityContext: { readonly runAsUser: number };
    readonly containers: readonly ContainerSpec[];
    readonly volumes?: readonly {
      readonly name: string;
      readonly persistentVolumeClaim?: { readonly claimName: string };
      readonly configMap?: { readonly name: string; readonly optional?: boolean };
      readonly secret?: { readonly secretName: string; readonly defaultMode?: number; readonly optional?: boolean };
    }[];
  };
  readonly status: { readonly phase: string };
}

/** Why a container is not made. */
interface Lack {
  readonly waiting: { readonly reason: string; readonly message?: string };
  readonly event: { readonly reason: string; readonly message: string };
}

/** A pod that has been started here. */
interface Running {
  readonly pod: Pod;
  child: ChildProcess;
  /** How the process before this one ended. */
  ended: object | null;
  restarts: number;
  toldAt: number | null;
  over: boolean;
  /** Whether it has started, by its startup probe, and is alive. */
  started: boolean;
  ready: boolean;
  /** When it was asked last; null while it is being asked. */
  askedAt: number | null;
}

export interface KubeletOptions {
  readonly connection: Connection;
  /** Whose pods are run; others stay pending. */
  readonly namespace: string;
  /** Claims that are folders of this machine already, by name; others are made. */
  readonly claims: Readonly<Record<string, string>>;
  readonly engine: string;
  readonly natsServer: string;
}

const node = 'node';

/** How often a container is asked, whatever its probes say: a test does not wait ten seconds. */
const probeMs = 500;

/**
 * Scheduler and kubelet in one, for one node: binds pods whose claims are there, runs their containers as processes of this
 * machine ({@link startContainer}), tells the API server how they are, ready by their probes, and ends them as it is told.
 */
export class Kubelet implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'showtell-kubelet-'));
  readonly errors: string[] = [];
  private readonly pods = new Map<string, Running>();
  /** What was told last of pods that wait. */
  private readonly told = new Map<string, string>();
  private readonly addresses = new Map<string, string>();
  private readonly ending = new AbortController();
  private loop: Promise<void> = Promise.resolve();
  private logServer: LogServer | null = null;

  private constructor(private readonly options: KubeletOptions) {}

  static async start(options: KubeletOptions): Promise<Kubelet> {
    const kubelet = new Kubelet(options);
    const body = { apiVersion: 'v1', kind: 'Node', metadata: { name: node } };
    const { connection } = options;
    await connection.request({ method: 'POST', path: '/api/v1/nodes', body });
    kubelet.logServer = await serveLogs(kubelet.folder, (...pod) => kubelet.logOf(...pod));
    const status = {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: kubelet.logServer.port } },
    };
    await connection.request({
      method: 'PATCH',
      path: `/api/v1/nodes/${node}/status`,
      body: { status },
      contentType: 'application/strategic-merge-patch+json',
    });
    kubelet.loop = kubelet.run();
    return kubelet;
  }

  /** The folder of a claim. */
  claim(namespace: string, name: string): string {
    return this.options.claims[name] ?? join(this.folder, 'claims', namespace, name);
  }

  /** Where a pod that goes by this name is. */
  address(namespace: string, name: string): string {
    const key = `${namespace}/${name}`;
    const known = this.addresses.get(key) ?? `127.0.81.${this.addresses.size + 1}`;
    this.addresses.set(key, known);
    return known;
  }

  private logOf(namespace: string, name: string): { readonly file: string; isOver(): boolean } | null {
    const running = [...this.pods.values()].findLast(
      ({ pod: { metadata } }) => metadata.namespace === namespace && metadata.name === name,
    );
    if (running === undefined) return null;
    return { file: this.logFile(running.pod), isOver: () => running.over };
  }

  private logFile({ metadata: { uid } }: Pod): string {
    return join(this.folder, 'pods', uid, 'log');
  }

  /** What a pod has written, as far as it was started here. */
  logs(): string {
    return [...this.pods.keys()]
      .map((uid) => join(this.folder, 'pods', uid, 'log'))
      .map((file) => (existsSync(file) ? `${file}\n${readFileSync(file, 'utf8').slice(-3000)}` : file))
      .join('\n');
  }

  private async run(): Promise<void> {
    while (!this.ending.signal.aborted) {
      try {
        const { items } = (await this.request('GET', `/api/v1/namespaces/${this.options.namespace}/pods`)) as {
          items: Pod[];
        };
        for (const pod of items) await this.look(pod);
      } catch (error) {
        // Such as a pod that has gone meanwhile.
        this.errors.push(String(error));
      }
      await delay(150);
    }
  }

  private async look(pod: Pod): Promise<void> {
    const running = this.pods.get(pod.metadata.uid);
    const isGoing = pod.metadata.deletionTimestamp !== undefined;
    if (running !== undefined && !running.over) {
      void this.probe(pod, running).catch((error: unknown) => this.errors.push(String(error)));
      return isGoing ? this.end(pod, running) : undefined;
    }
    if (isGoing) await this.forget(pod);
    else if (running === undefined && ['Pending', ''].includes(pod.status.phase)) await this.begin(pod);
  }

  private async begin(pod: Pod): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    for (const { persistentVolumeClaim: claim } of pod.spec.volumes ?? [])
      if (
        claim !== undefined &&
        !(await this.exists(`/api/v1/namespaces/${namespace}/persistentvolumeclaims/${claim.claimName}`))
      ) {
        const message = `persistentvolumeclaim "${claim.claimName}" not found`;
        const waits = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
        return this.tell(pod, { conditions: [waits] });
      }
    if (pod.spec.nodeName === undefined) {
      const target = { apiVersion: 'v1', kind: 'Node', name: node };
      const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace }, target };
      await this.request('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding`, body);
    }
    const lack = await this.lackOf(pod);
    if (lack !== null) return this.tellWaiting(pod, lack);
    const child = await this.container(pod);
    const running: Running = {
      ...{ pod, child, ended: null, restarts: 0, toldAt: null, over: false },
      ...{ started: false, ready: false, askedAt: 0 },
    };
    this.pods.set(uid, running);
    this.follow(pod, running);
    await this.tellRunning(pod, running);
  }

  /** What keeps the pod's container from being made, in a kubelet's words: a Secret or ConfigMap that is not there. */
  private async lackOf({ metadata: { namespace }, spec }: Pod): Promise<Lack | null> {
    const isThere = (kind: 'secret' | 'configmap', name: string): Promise<boolean> =>
      this.exists(`/api/v1/namespaces/${namespace}/${kind}s/${name}`);
    for (const { name, configMap, secret } of spec.volumes ?? []) {
      const [kind, wanted, optional] =
        secret === undefined
          ? (['configmap', configMap?.name, configMap?.optional] as const)
          : (['secret', secret.secretName, secret.optional] as const);
      if (wanted === undefined || optional === true || (await isThere(kind, wanted))) continue;
      const message = `MountVolume.SetUp failed for volume "${name}" : ${kind} "${wanted}" not found`;
      return { waiting: { reason: 'ContainerCreating' }, event: { reason: 'FailedMount', message } };
    }
    for (const { valueFrom } of spec.containers[0]?.env ?? []) {
      const { secretKeyRef: key } = valueFrom ?? {};
      if (key === undefined || key.optional === true || (await isThere('secret', key.name))) continue;
      const message = `secret "${key.name}" not found`;
      return {
        waiting: { reason: 'CreateContainerConfigError', message },
        event: { reason: 'Failed', message: `Error: ${message}` },
      };
    }
    return null;
  }

  /** Once for each reason: a kubelet tells it again and again, less and less often. */
  private async tellWaiting(pod: Pod, { waiting, event }: Lack): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    if (this.told.get(uid) === event.message) return;
    this.told.set(uid, event.message);
    const container = { name: pod.spec.containers[0]?.name ?? '', image: 'this', imageID: '' };
    const conditions = [{ type: 'PodScheduled', status: 'True' }];
    const containerStatuses = [{ ...container, ready: false, restartCount: 0, state: { waiting } }];
    await this.tell(pod, { phase: 'Pending', conditions, containerStatuses });
    const now = new Date().toISOString().replace(/\.\d+/, '');
    await this.request('POST', `/api/v1/namespaces/${namespace}/events`, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace, name: `${name}.${Date.now().toString(16)}` },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
      type: 'Warning',
      ...event,
      source: { component: 'kubelet', host: node },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    });
  }

  private async container(pod: Pod): Promise<ChildProcess> {
    const { namespace, name, uid } = pod.metadata;
    const [container] = pod.spec.containers;
    if (container === undefined) throw new Error(`${name} has no container`);
    const user = pod.spec.securityContext.runAsUser;
    const folder = join(this.folder, 'pods', uid);
    const volumes: Record<string, string> = {};
    for (const volume of pod.spec.volumes ?? []) volumes[volume.name] = await this.volume(pod, volume, user);
    const { items } = (await this.request('GET', `/api/v1/namespaces/${namespace}/services`)) as {
      items: KubeObject[];
    };
    const hosts = items.flatMap(({ metadata: { name: service } }) => [
      `${this.address(namespace, `${service}-0`)} ${service} ${service}-0.${service}`,
      // As many as a test asks for.
      `${this.address(namespace, `${service}-1`)} ${service}-1.${service}`,
    ]);
    return startContainer({
      container,
      user,
      address: this.address(namespace, name),
      hosts: ['127.0.0.1 localhost', ...hosts, ''].join('\n'),
      env: await this.environment(pod, container),
      volumes,
      engine: this.options.engine,
      natsServer: this.options.natsServer,
      folder,
    });
  }

  private async environment(
    { metadata: { name: pod, namespace } }: Pod,
    container: ContainerSpec,
  ): Promise<Record<string, string>> {
    const fields: Readonly<Record<string, string>> = { 'metadata.name': pod, 'metadata.namespace': namespace };
    const env: Record<string, string> = {};
    for (const { name, value, valueFrom } of container.env ?? []) {
      const { fieldRef, secretKeyRef } = valueFrom ?? {};
      const secret = secretKeyRef === undefined ? {} : await this.filesOf('secret', namespace, secretKeyRef.name);
      const found = value ?? fields[fieldRef?.fieldPath ?? ''] ?? secret[secretKeyRef?.key ?? '']?.toString('utf8');
      // An optional one that is not there is not set.
      if (found !== undefined) env[name] = found;
    }
    return env;
  }

  /** What a Secret or ConfigMap has, by key; nothing where it is not there, as an optional one may be. */
  private async filesOf(
    kind: 'secret' | 'configmap',
    namespace: string,
    name: string,
  ): Promise<Record<string, Buffer>> {
    const path = `/api/v1/namespaces/${namespace}/${kind}s/${name}`;
    if (!(await this.exists(path))) return {};
    const { data = {} } = (await this.request('GET', path)) as { data?: Readonly<Record<string, string>> };
    const encoding = kind === 'secret' ? 'base64' : 'utf8';
    return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, encoding)]));
  }

  private async volume(pod: Pod, volume: NonNullable<Pod['spec']['volumes']>[number], user: number): Promise<string> {
    const { namespace, uid } = pod.metadata;
    const { persistentVolumeClaim: claim, configMap, secret } = volume;
    if (claim !== undefined) {
      const given = this.options.claims[claim.claimName];
      return given ?? folderFor(user, this.claim(namespace, claim.claimName));
    }
    const folder = folderFor(user, this.folder, 'pods', uid, 'volumes', volume.name);
    const files =
      secret === undefined
        ? await (configMap === undefined ? {} : this.filesOf('configmap', namespace, configMap.name))
        : await this.filesOf('secret', namespace, secret.secretName);
    // Root's, and by fsGroup of the pod's group.
    for (const [name, content] of Object.entries(files)) {
      const file = join(folder, name);
      rmSync(file, { force: true });
      writeFileSync(file, content);
      chownSync(file, 0, user);
      chmodSync(file, secret?.defaultMode ?? 0o644);
    }
    return folder;
  }

  private follow(pod: Pod, running: Running): void {
    running.child.once('exit', (code, signal) => {
      const exitCode = code ?? (signal === 'SIGTERM' ? 143 : 137);
      void this.ended(pod, running, exitCode).catch((error: unknown) => this.errors.push(String(error)));
    });
  }

  private async ended(pod: Pod, running: Running, exitCode: number): Promise<void> {
    if (this.ending.signal.aborted) return;
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    // As with terminationMessagePolicy FallbackToLogsOnError.
    const message = exitCode === 0 ? '' : readFileSync(this.logFile(pod), 'utf8').slice(-2048);
    const terminated = { exitCode, reason, message, finishedAt: new Date().toISOString() };
    if (running.toldAt === null && pod.spec.restartPolicy === 'Always') {
      running.ended = terminated;
      [running.started, running.ready] = [false, false];
      await delay(500);
      running.restarts++;
      running.child = await this.container(pod);
      this.follow(pod, running);
      return this.tellRunning(pod, running);
    }
    const containerStatuses = [this.containerStatus(pod, running, { terminated })];
    await this.tell(pod, { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses });
    running.over = true;
  }

  private async end(pod: Pod, running: Running): Promise<void> {
    if (running.toldAt === null) {
      running.toldAt = Date.now();
      running.child.kill('SIGTERM');
    } else if (Date.now() - running.toldAt > (pod.metadata.deletionGracePeriodSeconds ?? 30) * 1000)
      running.child.kill('SIGKILL');
  }

  private async forget(pod: Pod): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, preconditions: { uid } };
    await this.request('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, body);
  }

  private async tellRunning(pod: Pod, running: Running): Promise<void> {
    const { namespace, name } = pod.metadata;
    const podIP = this.address(namespace, name);
    const startedAt = new Date().toISOString();
    const containerStatuses = [this.containerStatus(pod, running, { running: { startedAt } })];
    const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
      type,
      status: type.endsWith('Ready') && !running.ready ? 'False' : 'True',
    }));
    await this.tell(pod, { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions, containerStatuses });
  }

  private containerStatus({ spec }: Pod, running: Running, state: object): object {
    const { restarts, ended } = running;
    const name = spec.containers[0]?.name ?? '';
    const lastState = ended === null ? {} : { lastState: { terminated: ended } };
    const [started, ready] = 'running' in state ? [running.started, running.ready] : [false, false];
    return {
      ...{ name, image: 'this', imageID: 'this', started, ready, restartCount: restarts, state },
      ...lastState,
    };
  }

  /**
   * Asks the container by its probes, and tells when it has become ready or is so no more. One whose liveness probe does not
   * answer is not started: a kubelet would end it before long.
   */
  private async probe(pod: Pod, running: Running): Promise<void> {
    const { askedAt, child } = running;
    if (askedAt === null || Date.now() - askedAt < probeMs) return;
    running.askedAt = null;
    const [container] = pod.spec.containers;
    const isAnswered = (probe: Probe | undefined): Promise<boolean> => this.isAnswered(pod, container, probe);
    const before = [running.started, running.ready];
    const started =
      running.started || ((await isAnswered(container?.startupProbe)) && (await isAnswered(container?.livenessProbe)));
    const ready = started && (await isAnswered(container?.readinessProbe));
    running.askedAt = Date.now();
    // It may have ended meanwhile, or be another by now.
    if (running.child !== child || child.exitCode !== null || child.signalCode !== null) return;
    [running.started, running.ready] = [started, ready];
    if (before[0] !== started || before[1] !== ready) await this.tellRunning(pod, running);
  }

  private async isAnswered({ metadata }: Pod, container: ContainerSpec | undefined, probe?: Probe): Promise<boolean> {
    if (probe === undefined) return true;
    const { path, port } = probe.httpGet ?? { path: '', port: 0 };
    const number = typeof port === 'number' ? port : container?.ports?.find(({ name }) => name === port)?.containerPort;
    if (number === undefined) throw new Error(`${metadata.name}: no port ${port}`);
    const signal = AbortSignal.timeout((probe.timeoutSeconds ?? 1) * 1000);
    const url = `http://${this.address(metadata.namespace, metadata.name)}:${number}${path}`;
    const answer = await fetch(url, { signal, redirect: 'manual' }).catch(() => null);
    await answer?.body?.cancel();
    return answer !== null && answer.status < 400;
  }

  private async tell(pod: Pod, status: object): Promise<void> {
    const { namespace, name } = pod.metadata;
    await this.options.connection.request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${namespace}/pods/${name}/status`,
      body: { status },
      contentType: 'application/strategic-merge-patch+json',
    });
  }

  private async exists(path: string): Promise<boolean> {
    try {
      await this.request('GET', path);
      return true;
    } catch (error) {
      if (error instanceof ApiFailure && error.status === 404) return false;
      throw error;
    }
  }

  private request(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<unknown> {
    return this.options.connection.request({ method, path, ...(body === undefined ? {} : { body }) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ending.abort();
    await this.loop;
    await this.logServer?.[Symbol.asyncDispose]();
    for (const { child } of this.pods.values()) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

import { tlsVariable } from '@showtell/shared/security/tls-folder.js';
import type { Manifest } from './manifest.js';
import type { TrainingJob } from './training-job.js';
import { metadataOf, nameOf, ports, selectorOf, type Role } from './naming.js';

/** No user of the images, and none of the node either. */
const user = 10_001;

/** A pod's user. */
export const nobody = {
  runAsNonRoot: true,
  runAsUser: user,
  runAsGroup: user,
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

/** By which a Prometheus without the operator's definitions finds a pod's `/metrics`. */
export const scrapedAt = (port: number) => ({
  'prometheus.io/scrape': 'true',
  'prometheus.io/port': String(port),
});

/**
 * What every pod of a job has: nobody's rights, no token for the API server, time to end in order.
 * @param more annotations of the role
 */
export function podTemplate(
  job: TrainingJob,
  role: Role,
  graceSeconds: number,
  spec: object,
  more: Readonly<Record<string, string>> = {},
) {
  const http = {
    nats: ports.natsMonitor,
    coordinator: ports.coordinatorHttp,
    ps: ports.shardHttp,
    worker: ports.workerHttp,
  }[role];
  // nats-server has no /metrics of its own.
  const annotations = role === 'nats' ? {} : { annotations: { ...scrapedAt(http), ...more } };
  return {
    metadata: { labels: selectorOf(job, role), ...annotations },
    spec: {
      serviceAccountName: nameOf(job, role),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: graceSeconds,
      securityContext: { ...nobody, fsGroup: user, fsGroupChangePolicy: 'OnRootMismatch' },
      ...spec,
    },
  };
}

export const containerSecurity = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
} as const;

/** CPU is asked for and not limited, since a limit only slows; memory is both. */
export function resourcesOf({ cpu, memory }: { readonly cpu: string; readonly memory: string }) {
  return { requests: { cpu, memory }, limits: { memory } };
}

export const httpGet = (path: string, port: string) => ({ httpGet: { path, port } });

/** Where the images have their engine, and pods keep features and shards. */
export const cacheFolder = '/var/cache/showtell';

/** Whether the job's own nats-server keeps the data. */
export const keepsBucket = ({ spec }: TrainingJob): boolean =>
  spec.storage.data.bucket !== '' && spec.storage.data.nats === '';

/** How a pod comes to the data: a claim mounted at `/data`, a bucket whose shards it keeps, or both. */
export function dataAccess(job: TrainingJob) {
  const { bucket, nats, subPath, cache, ...data } = job.spec.storage.data;
  const claim = data.claim ?? (bucket === '' ? 'showtell-data' : undefined);
  const server = nats === '' ? `nats://${nameOf(job, 'nats')}:${ports.nats}` : nats;
  const claimed = claim === undefined ? [] : [claim];
  const cached = bucket === '' ? [] : [cache];
  return {
    place: bucket === '' ? '/data' : `${server}/${bucket}`,
    volumes: [
      ...claimed.map((claimName) => ({ name: 'data', persistentVolumeClaim: { claimName, readOnly: true } })),
      ...cached.map((sizeLimit) => ({ name: 'shards', emptyDir: { sizeLimit } })),
    ],
    mounts: [
      ...claimed.map(() => ({
        ...{ name: 'data', mountPath: '/data', readOnly: true },
        ...(subPath === '' ? {} : { subPath }),
      })),
      ...cached.map(() => ({ name: 'shards', mountPath: `${cacheFolder}/data` })),
    ],
  };
}

/** The job file, mounted at `/etc/showtell/job.yaml`. */
export function jobVolume({ name }: TrainingJob) {
  return {
    volume: { name: 'job', configMap: { name: `${name}-job` } },
    mount: { name: 'job', mountPath: '/etc/showtell', readOnly: true },
  };
}

/** Where a role finds its certificate and keys. */
export const tlsFolder = '/etc/showtell-tls';

/** The role's Secret, mounted whole: only so do its files change when it does. */
export function tlsAccess({ spec }: TrainingJob, role: Role) {
  const named = spec.tls === '' ? [] : [`${spec.tls}-${role}`];
  return {
    volumes: named.map((secretName) => ({ name: 'tls', secret: { secretName, defaultMode: 0o440 } })),
    mounts: named.map(() => ({ name: 'tls', mountPath: tlsFolder, readOnly: true })),
    env: named.map(() => ({ name: tlsVariable, value: tlsFolder })),
  };
}

/** OpenTelemetry's own variables, where traces are asked for. */
export function tracingVariables({ spec }: TrainingJob): { readonly name: string; readonly value: string }[] {
  const { endpoint, ratio } = spec.tracing;
  if (endpoint === '') return [];
  return [
    { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: endpoint },
    { name: 'OTEL_TRACES_SAMPLER', value: 'parentbased_traceidratio' },
    { name: 'OTEL_TRACES_SAMPLER_ARG', value: String(ratio) },
  ];
}

export const temporary = {
  volume: { name: 'tmp', emptyDir: {} },
  mount: { name: 'tmp', mountPath: '/tmp' },
} as const;

export function serviceAccount(job: TrainingJob, role: Role) {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadataOf(job, nameOf(job, role), role),
    automountServiceAccountToken: false,
  };
}

/** What a StatefulSet keeps outlasts it. */
export const retained = { whenDeleted: 'Retain', whenScaled: 'Retain' } as const;

/** A volume of a StatefulSet's pod. */
export function claimTemplate(
  job: TrainingJob,
  role: Role,
  name: string,
  { size, storageClass }: { readonly size: string; readonly storageClass: string },
) {
  return {
    metadata: { name, labels: selectorOf(job, role) },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
      ...(storageClass === '' ? {} : { storageClassName: storageClass }),
    },
  };
}

/**
 * A role of one pod, or of few, with names of their own: the StatefulSet and the headless Service that gives the pod its name, before it
 * is ready too, since others look for it while it starts.
 * @param listens the Service's ports by the names of the container's
 * @param set the StatefulSet's other fields, `template` among them
 */
export function namedPod(
  job: TrainingJob,
  role: Role,
  listens: Readonly<Record<string, number>>,
  set: object,
): Manifest[] {
  const name = nameOf(job, role);
  const metadata = metadataOf(job, name, role);
  const selector = selectorOf(job, role);
  const servicePorts = Object.entries(listens).map(([port, number]) => ({
    name: port,
    port: number,
    targetPort: port,
  }));
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { clusterIP: 'None', publishNotReadyAddresses: true, selector, ports: servicePorts },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata,
      spec: {
        serviceName: name,
        replicas: job.spec.suspend ? 0 : 1,
        // In order a pod that never becomes ready would not be replaced by one of a corrected template.
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: selector },
        ...set,
      },
    },
  ];
}

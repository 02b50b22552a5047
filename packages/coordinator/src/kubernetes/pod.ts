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

/** What every pod of a job has: nobody's rights, no token for the API server, time to end in order. */
export function podTemplate(job: TrainingJob, role: Role, graceSeconds: number, spec: object) {
  const http = { nats: ports.natsMonitor, coordinator: ports.coordinatorHttp, worker: ports.workerHttp }[role];
  // nats-server has no /metrics of its own.
  const annotations =
    role === 'nats' ? {} : { annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': String(http) } };
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

/** The data folder, mounted at `/data`. */
export function dataVolume({ spec }: TrainingJob) {
  const { claim, subPath } = spec.storage.data;
  return {
    volume: { name: 'data', persistentVolumeClaim: { claimName: claim, readOnly: true } },
    mount: { name: 'data', mountPath: '/data', readOnly: true, ...(subPath === '' ? {} : { subPath }) },
  };
}

/** The job file, mounted at `/etc/showtell/job.yaml`. */
export function jobVolume({ name }: TrainingJob) {
  return {
    volume: { name: 'job', configMap: { name: `${name}-job` } },
    mount: { name: 'job', mountPath: '/etc/showtell', readOnly: true },
  };
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

/**
 * A role of one pod with a name of its own: the StatefulSet and the headless Service that gives the pod its name, before it
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
        selector: { matchLabels: selector },
        ...set,
      },
    },
  ];
}

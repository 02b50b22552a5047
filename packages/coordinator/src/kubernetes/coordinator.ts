import { stringify } from 'yaml';
import type { Manifest } from './manifest.js';
import { metadataOf, nameOf, ports, selectorOf } from './naming.js';
import {
  containerSecurity,
  dataVolume,
  httpGet,
  jobVolume,
  namedPod,
  podTemplate,
  resourcesOf,
  serviceAccount,
  temporary,
} from './pod.js';
import type { TrainingJob } from './training-job.js';

/**
 * The job file as pods get it: complete, so that no default of another version enters it. Pods share no memory, and
 * `/dev/shm` of a pod is small: bodies go over gRPC.
 */
export function jobFile({ spec }: TrainingJob): string {
  const { data, cluster, ...job } = spec.job;
  const { maxCorruptRecords } = data;
  return stringify({ ...job, data: { maxCorruptRecords }, cluster: { ...cluster, sharedMemory: false } });
}

/** The coordinator, parameter server included, with the volume of its runs, which outlives the StatefulSet. */
export function coordinatorObjects(job: TrainingJob): Manifest[] {
  const { spec } = job;
  const { size, storageClass } = spec.storage.runs;
  const [data, file] = [dataVolume(job), jobVolume(job)];
  return [
    serviceAccount(job, 'coordinator'),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: metadataOf(job, `${job.name}-job`),
      data: { 'job.yaml': jobFile(job) },
    },
    ...namedPod(
      job,
      'coordinator',
      { grpc: ports.grpc, http: ports.coordinatorHttp },
      {
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
        template: podTemplate(job, 'coordinator', 300, {
          containers: [
            {
              name: 'coordinator',
              image: spec.images.coordinator,
              command: ['showtell', 'coordinator', '/etc/showtell/job.yaml'],
              args: [
                ...['--run', `/runs/${job.name}`, '--data', '/data'],
                ...['--nats', `nats://${nameOf(job, 'nats')}:${ports.nats}`, '--host', '0.0.0.0'],
                ...['--grpc-port', String(ports.grpc), '--http-port', String(ports.coordinatorHttp), '--stay'],
              ],
              ports: [
                { name: 'grpc', containerPort: ports.grpc },
                { name: 'http', containerPort: ports.coordinatorHttp },
              ],
              // Reading a checkpoint and making first values comes before it listens.
              startupProbe: { ...httpGet('/healthz', 'http'), periodSeconds: 5, failureThreshold: 360 },
              livenessProbe: { ...httpGet('/healthz', 'http'), timeoutSeconds: 5, failureThreshold: 12 },
              readinessProbe: { ...httpGet('/readyz', 'http'), timeoutSeconds: 5 },
              resources: resourcesOf(spec.resources.coordinator),
              securityContext: containerSecurity,
              volumeMounts: [{ name: 'runs', mountPath: '/runs' }, data.mount, file.mount, temporary.mount],
            },
          ],
          volumes: [data.volume, file.volume, temporary.volume],
        }),
        volumeClaimTemplates: [
          {
            metadata: { name: 'runs', labels: selectorOf(job, 'coordinator') },
            spec: {
              accessModes: ['ReadWriteOnce'],
              resources: { requests: { storage: size } },
              ...(storageClass === '' ? {} : { storageClassName: storageClass }),
            },
          },
        ],
      },
    ),
  ];
}

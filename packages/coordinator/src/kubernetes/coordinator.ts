import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import type { Manifest } from './manifest.js';
import { metadataOf, nameOf, ports } from './naming.js';
import {
  cacheFolder,
  claimTemplate,
  containerSecurity,
  dataAccess,
  httpGet,
  jobVolume,
  namedPod,
  podTemplate,
  resourcesOf,
  retained,
  serviceAccount,
  temporary,
  tlsAccess,
  tracingVariables,
} from './pod.js';
import { valueOf } from './quantity.js';
import { shardAddresses } from './shards.js';
import type { TrainingJob } from './training-job.js';

/**
 * The job file as pods get it: complete, so that no default of another version enters it. Pods share no memory, and
 * `/dev/shm` of a pod is small: bodies go over gRPC.
 */
export function jobFile({ spec }: TrainingJob): string {
  const { data, cluster, ...job } = spec.job;
  const { maxCorruptRecords } = data;
  const { bucket, cache } = spec.storage.data;
  const cacheBytes = bucket === '' ? {} : { cacheBytes: Math.floor(data.cacheBytes ?? valueOf(cache)) };
  return stringify({
    ...job,
    data: { maxCorruptRecords, ...cacheBytes },
    cluster: { ...cluster, sharedMemory: false },
  });
}

/**
 * The job file's hash, an annotation of the coordinator's pod: with another file the StatefulSet starts it anew, and it
 * goes on from the checkpoint that it saves as it ends. Else the file would count from a start that may come any day, when
 * a phase that was made longer is over.
 */
export const jobFileHash = (job: TrainingJob): Readonly<Record<string, string>> => ({
  'showtell.dev/job-sha256': createHash('sha256').update(jobFile(job)).digest('hex'),
});

/** The coordinator, parameter server included, with the volume of its runs, which outlives the StatefulSet. */
export function coordinatorObjects(job: TrainingJob): Manifest[] {
  const { spec } = job;
  const { size, storageClass } = spec.storage.runs;
  const [data, file, shards] = [dataAccess(job), jobVolume(job), shardAddresses(job)];
  const tls = tlsAccess(job, 'coordinator');
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
        persistentVolumeClaimRetentionPolicy: retained,
        template: podTemplate(
          job,
          'coordinator',
          300,
          {
            containers: [
              {
                name: 'coordinator',
                image: spec.images.coordinator,
                command: ['showtell', 'coordinator', '/etc/showtell/job.yaml'],
                args: [
                  ...['--run', `/runs/${job.name}`, '--data', data.place],
                  ...['--nats', `nats://${nameOf(job, 'nats')}:${ports.nats}`, '--host', '0.0.0.0'],
                  ...['--grpc-port', String(ports.grpc), '--http-port', String(ports.coordinatorHttp), '--stay'],
                  ...(shards.length === 0 ? [] : ['--shards', shards.join(',')]),
                ],
                env: [
                  // Without such a Secret there is no page; metrics and status ask for no token.
                  {
                    name: 'SHOWTELL_TOKEN',
                    valueFrom: { secretKeyRef: { name: `${job.name}-page`, key: 'token', optional: true } },
                  },
                  ...(spec.storage.data.bucket === '' ? [] : [{ name: 'SHOWTELL_CACHE', value: cacheFolder }]),
                  ...tls.env,
                  ...tracingVariables(job),
                ],
                // Else the condition of the TrainingJob could say no more than an exit code.
                terminationMessagePolicy: 'FallbackToLogsOnError',
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
                volumeMounts: [
                  { name: 'runs', mountPath: '/runs' },
                  ...data.mounts,
                  ...tls.mounts,
                  file.mount,
                  temporary.mount,
                ],
              },
            ],
            volumes: [...data.volumes, ...tls.volumes, file.volume, temporary.volume],
          },
          jobFileHash(job),
        ),
        volumeClaimTemplates: [claimTemplate(job, 'coordinator', 'runs', { size, storageClass })],
      },
    ),
  ];
}

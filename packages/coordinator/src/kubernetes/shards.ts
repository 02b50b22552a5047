import type { Manifest } from './manifest.js';
import { nameOf, ports } from './naming.js';
import {
  containerSecurity,
  httpGet,
  namedPod,
  podTemplate,
  resourcesOf,
  serviceAccount,
  temporary,
  tlsAccess,
  tracingVariables,
} from './pod.js';
import type { TrainingJob } from './training-job.js';

/** Where the coordinator and workers reach each shard of the parameter server; none: the coordinator is it. */
export function shardAddresses(job: TrainingJob): string[] {
  const { parameterShards } = job.spec.job.cluster;
  const name = nameOf(job, 'ps');
  if (parameterShards === 1) return [];
  return Array.from({ length: parameterShards }, (_, shard) => `${name}-${shard}.${name}:${ports.shardGrpc}`);
}

/** The shards of the parameter server, where the job file asks for several: pods with names and without any disk. */
export function shardObjects(job: TrainingJob): Manifest[] {
  const { spec } = job;
  const replicas = shardAddresses(job).length;
  const tls = tlsAccess(job, 'ps');
  const env = [...tls.env, ...tracingVariables(job)];
  if (replicas === 0) return [];
  return [
    serviceAccount(job, 'ps'),
    ...namedPod(
      job,
      'ps',
      { grpc: ports.shardGrpc, http: ports.shardHttp },
      {
        replicas: spec.suspend ? 0 : replicas,
        // The coordinator saves what it reads from them when all are told to end.
        template: podTemplate(job, 'ps', 90, {
          containers: [
            {
              name: 'ps',
              image: spec.images.coordinator,
              command: ['showtell', 'ps'],
              args: [
                ...['--host', '0.0.0.0', '--grpc-port', String(ports.shardGrpc)],
                ...['--http-port', String(ports.shardHttp)],
              ],
              terminationMessagePolicy: 'FallbackToLogsOnError',
              ports: [
                { name: 'grpc', containerPort: ports.shardGrpc },
                { name: 'http', containerPort: ports.shardHttp },
              ],
              startupProbe: { ...httpGet('/healthz', 'http'), periodSeconds: 2, failureThreshold: 60 },
              livenessProbe: { ...httpGet('/healthz', 'http'), timeoutSeconds: 5, failureThreshold: 12 },
              resources: resourcesOf(spec.resources.shards),
              securityContext: containerSecurity,
              ...(env.length === 0 ? {} : { env }),
              volumeMounts: [...tls.mounts, temporary.mount],
            },
          ],
          volumes: [...tls.volumes, temporary.volume],
        }),
      },
    ),
  ];
}

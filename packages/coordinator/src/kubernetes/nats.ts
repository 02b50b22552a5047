import { natsConfigurationFile } from '../security/nats-configuration.js';
import type { Manifest } from './manifest.js';
import { ports } from './naming.js';
import {
  claimTemplate,
  containerSecurity,
  httpGet,
  keepsBucket,
  namedPod,
  podTemplate,
  resourcesOf,
  retained,
  serviceAccount,
  tlsAccess,
  tlsFolder,
} from './pod.js';
import { valueOf } from './quantity.js';
import type { TrainingJob } from './training-job.js';

/**
 * NATS with JetStream. The queue of units lives in its memory and is rebuilt by the coordinator when it was lost, so
 * its disk is the node's; a bucket with the data is kept on a volume, which outlives the StatefulSet.
 */
export function natsObjects(job: TrainingJob): Manifest[] {
  const { spec } = job;
  const isKept = keepsBucket(job);
  const tls = tlsAccess(job, 'nats');
  const { cpu, memory } = spec.resources.nats;
  return [
    serviceAccount(job, 'nats'),
    ...namedPod(
      job,
      'nats',
      { client: ports.nats },
      {
        ...(isKept ? { persistentVolumeClaimRetentionPolicy: retained } : {}),
        template: podTemplate(job, 'nats', 30, {
          containers: [
            {
              name: 'nats',
              image: spec.images.nats,
              command: ['nats-server'],
              // Its configuration names files beside it.
              ...(spec.tls === '' ? {} : { workingDir: tlsFolder }),
              args: [
                ...(spec.tls === '' ? [] : ['-c', natsConfigurationFile]),
                '-a',
                '0.0.0.0',
                '-p',
                String(ports.nats),
                '-m',
                String(ports.natsMonitor),
                '-js',
                '-sd',
                '/store',
              ],
              // It takes what it may for what it has read and written lately, and would be ended for it.
              env: [{ name: 'GOMEMLIMIT', value: String(Math.floor(valueOf(memory) * 0.8)) }],
              ports: [
                { name: 'client', containerPort: ports.nats },
                { name: 'monitor', containerPort: ports.natsMonitor },
              ],
              startupProbe: { ...httpGet('/healthz', 'monitor'), periodSeconds: 2, failureThreshold: 300 },
              livenessProbe: { ...httpGet('/healthz?js-server-only=true', 'monitor'), failureThreshold: 6 },
              readinessProbe: httpGet('/healthz', 'monitor'),
              resources: resourcesOf({ cpu, memory }),
              securityContext: containerSecurity,
              volumeMounts: [{ name: 'store', mountPath: '/store' }, ...tls.mounts],
            },
          ],
          ...volumesOf([...(isKept ? [] : [{ name: 'store', emptyDir: { sizeLimit: '1Gi' } }]), ...tls.volumes]),
        }),
        ...(isKept ? { volumeClaimTemplates: [claimTemplate(job, 'nats', 'store', spec.storage.data)] } : {}),
      },
    ),
  ];
}

/** The API server forgets an empty list, and would take each apply of it for a change. */
const volumesOf = (volumes: readonly object[]) => (volumes.length === 0 ? {} : { volumes });

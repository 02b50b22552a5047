import type { Manifest } from './manifest.js';
import { ports } from './naming.js';
import { containerSecurity, httpGet, namedPod, podTemplate, resourcesOf, serviceAccount } from './pod.js';
import type { TrainingJob } from './training-job.js';

/**
 * NATS with JetStream. The queue of units lives in its memory and is rebuilt by the coordinator when it was lost, so
 * its disk is the node's.
 */
export function natsObjects(job: TrainingJob): Manifest[] {
  const { spec } = job;
  return [
    serviceAccount(job, 'nats'),
    ...namedPod(
      job,
      'nats',
      { client: ports.nats },
      {
        template: podTemplate(job, 'nats', 30, {
          containers: [
            {
              name: 'nats',
              image: spec.images.nats,
              command: ['nats-server'],
              args: [
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
              ports: [
                { name: 'client', containerPort: ports.nats },
                { name: 'monitor', containerPort: ports.natsMonitor },
              ],
              startupProbe: { ...httpGet('/healthz', 'monitor'), periodSeconds: 2, failureThreshold: 60 },
              livenessProbe: { ...httpGet('/healthz?js-server-only=true', 'monitor'), failureThreshold: 6 },
              readinessProbe: httpGet('/healthz', 'monitor'),
              resources: resourcesOf(spec.resources.nats),
              securityContext: containerSecurity,
              volumeMounts: [{ name: 'store', mountPath: '/store' }],
            },
          ],
          volumes: [{ name: 'store', emptyDir: { sizeLimit: '1Gi' } }],
        }),
      },
    ),
  ];
}

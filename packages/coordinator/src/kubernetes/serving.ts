import { version } from '@showtell/shared/version.js';
import type { Manifest } from './manifest.js';
import { nameOf, selectorOf } from './naming.js';
import { cacheFolder, containerSecurity, httpGet, nobody, resourcesOf, scrapedAt, temporary } from './pod.js';

const port = 8080;

/**
 * `showtell serve` with a run's best checkpoint, by BLEU-4, off the volume of its runs: it outlives the job, and beside one
 * that still trains the pod goes to the coordinator's node, since most volumes are one node's. Its labels are not the
 * job's, which deletes what has them.
 * @param job the job's name in the cluster
 */
export function servingObjects(job: string): Manifest[] {
  const name = `${job}-serve`;
  const labels = {
    'app.kubernetes.io/name': 'showtell-serve',
    'app.kubernetes.io/instance': job,
    'app.kubernetes.io/component': 'serve',
  };
  const metadata = { name, labels };
  const coordinator = { name: job };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: false },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata,
      // It answers, and asks nobody; it knows no passwords, so who may ask is an Ingress's or a narrower policy's to say.
      spec: {
        podSelector: { matchLabels: labels },
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ ports: [{ protocol: 'TCP', port }] }],
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: {
            labels,
            annotations: scrapedAt(port),
          },
          spec: {
            serviceAccountName: name,
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            // What was accepted is answered first, within serve's --timeout.
            terminationGracePeriodSeconds: 45,
            securityContext: { ...nobody, fsGroup: nobody.runAsGroup, fsGroupChangePolicy: 'OnRootMismatch' },
            affinity: {
              podAffinity: {
                preferredDuringSchedulingIgnoredDuringExecution: [
                  {
                    weight: 100,
                    podAffinityTerm: {
                      labelSelector: { matchLabels: selectorOf(coordinator, 'coordinator') },
                      topologyKey: 'kubernetes.io/hostname',
                    },
                  },
                ],
              },
            },
            containers: [
              {
                name: 'serve',
                image: `showtell/worker:${version}`,
                command: ['showtell', 'serve'],
                // Behind a Service every client has the address of a proxy.
                args: [
                  ...['--checkpoint', `/runs/${job}@best`, '--host', '0.0.0.0', '--port', String(port), '--rate', '0'],
                ],
                env: [{ name: 'SHOWTELL_CACHE', value: cacheFolder }],
                terminationMessagePolicy: 'FallbackToLogsOnError',
                ports: [{ name: 'http', containerPort: port }],
                startupProbe: { ...httpGet('/readyz', 'http'), periodSeconds: 2, failureThreshold: 150 },
                livenessProbe: { ...httpGet('/healthz', 'http'), timeoutSeconds: 5, failureThreshold: 12 },
                readinessProbe: { ...httpGet('/readyz', 'http'), timeoutSeconds: 5 },
                resources: resourcesOf({ cpu: '1', memory: '2Gi' }),
                securityContext: containerSecurity,
                volumeMounts: [{ name: 'runs', mountPath: '/runs', readOnly: true }, temporary.mount],
              },
            ],
            volumes: [
              {
                name: 'runs',
                persistentVolumeClaim: { claimName: `runs-${nameOf(coordinator, 'coordinator')}-0`, readOnly: true },
              },
              temporary.volume,
            ],
          },
        },
      },
    },
  ];
}

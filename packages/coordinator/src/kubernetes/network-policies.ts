import type { Manifest } from './manifest.js';
import { metadataOf, nameOf, ports, selectorOf, type Role } from './naming.js';
import type { TrainingJob } from './training-job.js';

const tcp = (port: number) => ({ protocol: 'TCP', port });

/** Names are looked up wherever the cluster has its DNS. */
const dns = {
  ports: [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 53 },
  ],
};

/**
 * Who may speak to whom: workers with coordinator and NATS, the coordinator with NATS, and everybody with the metrics
 * and status, which only tell. NATS and gRPC know no passwords, so this is what keeps others away from them.
 */
export function networkPolicies(job: TrainingJob): Manifest[] {
  const pods = (role: Role) => ({ podSelector: { matchLabels: selectorOf(job, role) } });
  const policy = (role: Role, ingress: object[], egress: object[]): Manifest => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadataOf(job, nameOf(job, role), role),
    spec: {
      podSelector: { matchLabels: selectorOf(job, role) },
      policyTypes: ['Ingress', 'Egress'],
      ingress,
      // The API server forgets an empty list, and would take each apply of it for a change.
      ...(egress.length === 0 ? {} : { egress }),
    },
  });
  const toNats = { to: [pods('nats')], ports: [tcp(ports.nats)] };
  return [
    policy('nats', [{ from: [pods('coordinator'), pods('worker')], ports: [tcp(ports.nats)] }], []),
    policy(
      'coordinator',
      [{ from: [pods('worker')], ports: [tcp(ports.grpc)] }, { ports: [tcp(ports.coordinatorHttp)] }],
      [toNats, dns],
    ),
    policy(
      'worker',
      [{ ports: [tcp(ports.workerHttp)] }],
      [toNats, { to: [pods('coordinator')], ports: [tcp(ports.grpc)] }, dns],
    ),
  ];
}

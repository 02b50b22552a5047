import type { Manifest } from './manifest.js';
import { metadataOf, nameOf, ports, selectorOf, type Role } from './naming.js';
import { shardAddresses } from './shards.js';
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
 * Who may speak to whom: workers with coordinator, shards and NATS, the coordinator with shards and NATS, and everybody with the metrics
 * and status, which only tell. Without `spec.tls` this alone keeps others away from NATS and gRPC.
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
  const { nats: elsewhere } = job.spec.storage.data;
  const toNats = { to: [pods('nats')], ports: [tcp(ports.nats)] };
  const toData = elsewhere === '' ? [] : [{ ports: [tcp(Number(new URL(elsewhere).port || ports.nats))] }];
  const { endpoint } = job.spec.tracing;
  const toCollector = endpoint === '' ? [] : [{ ports: [tcp(portOf(new URL(endpoint)))] }];
  const isDivided = shardAddresses(job).length > 0;
  const toShards = isDivided ? [{ to: [pods('ps')], ports: [tcp(ports.shardGrpc)] }] : [];
  const shards = policy(
    'ps',
    [{ from: [pods('coordinator'), pods('worker')], ports: [tcp(ports.shardGrpc)] }, { ports: [tcp(ports.shardHttp)] }],
    toCollector.length === 0 ? [] : [...toCollector, dns],
  );
  return [
    ...(isDivided ? [shards] : []),
    policy('nats', [{ from: [pods('coordinator'), pods('worker')], ports: [tcp(ports.nats)] }], []),
    policy(
      'coordinator',
      [{ from: [pods('worker')], ports: [tcp(ports.grpc)] }, { ports: [tcp(ports.coordinatorHttp)] }],
      [toNats, ...toShards, ...toData, ...toCollector, dns],
    ),
    policy(
      'worker',
      [{ ports: [tcp(ports.workerHttp)] }],
      [toNats, ...toShards, ...toData, ...toCollector, { to: [pods('coordinator')], ports: [tcp(ports.grpc)] }, dns],
    ),
  ];
}

/** An address without a port means the protocol's. */
function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

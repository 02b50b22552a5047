import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import { serveHttp } from '@showtell/shared/service/http.js';
import { openLog } from '@showtell/shared/service/log.js';
import { version } from '@showtell/shared/version.js';
import { asShowtellError } from '../cluster/explain.js';
import { Cluster } from '../cluster/cluster.js';
import { Connection } from '../cluster/connection.js';
import { LeaderElection } from './lease.js';
import { openOperatorMetrics } from './metrics.js';
import { Operator } from './operator.js';

export interface RunOperatorOptions {
  readonly namespace: string | null;
  /** Of the Lease by which one of several operators leads. */
  readonly leaseNamespace: string | null;
  readonly host: string;
  readonly httpPort: number;
  readonly pollSeconds: number;
}

/**
 * An operator process from its start to SIGTERM or SIGINT.
 *
 * @throws ShowtellError what keeps it from working: `kubernetes/no-cluster`, `kubernetes/unreachable`,
 *   `kubernetes/no-definition`, `kubernetes/forbidden`
 */
export async function runOperator(options: RunOperatorOptions): Promise<void> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  process.once('SIGTERM', end).once('SIGINT', end);
  using log = openLog({ fields: { role: 'operator' } });
  const cluster = new Cluster(Connection.open());
  const metrics = openOperatorMetrics();
  let isThere = false;
  await using _http = await serveHttp({
    host: options.host,
    port: options.httpPort,
    registry: metrics.registry,
    ready: () => isThere || 'the API server has not answered yet',
    what: "the operator's metrics",
    setting: '--http-port',
  });
  const { namespace, pollSeconds } = options;
  // What no waiting mends is told before anything else: no definition, no rights.
  await cluster.list('TrainingJob', namespace).catch((error: unknown) => {
    throw asShowtellError(error, 'trainingjobs');
  });
  isThere = true;
  const identity = `${hostname()}_${randomBytes(4).toString('hex')}`;
  log.info('starting', { version, server: cluster.server, namespace: namespace ?? 'all', identity });
  const leaseNamespace = options.leaseNamespace ?? cluster.namespace;
  const ref = { kind: 'Lease', namespace: leaseNamespace, name: 'showtell-operator' } as const;
  const election = new LeaderElection(cluster, { ref, identity, log });
  const operator = new Operator(cluster, metrics, log, { namespace, pollSeconds });
  await election.lead((signal) => operator.run(signal), ending.signal);
  log.info('ended');
}

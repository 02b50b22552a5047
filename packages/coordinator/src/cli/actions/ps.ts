import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { serveHttp } from '@showtell/shared/service/http.js';
import { processTls } from '@showtell/shared/security/tls-folder.js';
import { tellExpiry } from '@showtell/shared/service/certificate-expiry.js';
import { openLog } from '@showtell/shared/service/log.js';
import { openTracing } from '@showtell/shared/service/open-tracing.js';
import { serveShard } from '../../parameter-server/serve-shard.js';
import { openShardMetrics } from '../../parameter-server/shard-metrics.js';

/** So long a coordinator that is told to end at the same time may take to save what it reads here. */
const graceMs = 60_000;
const lookMs = 50;

export interface PsOptions {
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly parent?: true;
}

/**
 * `showtell ps`: prints where it is as a JSON line, and serves until SIGTERM or Ctrl-C, and then for as long as a coordinator
 * is at work with it, at most a minute; until a second signal, or its parent's end.
 */
export async function serveUntilTold({ host, grpcPort, httpPort, parent }: PsOptions): Promise<void> {
  using log = openLog({ fields: { role: 'parameter-server' } });
  const [told, over] = [new AbortController(), new AbortController()];
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => (told.signal.aborted ? over.abort() : told.abort()));
  const onParentGone = (): void => {
    told.abort();
    over.abort();
  };
  if (parent === true) process.stdin.on('end', onParentGone).on('close', onParentGone).resume();
  const { registry, series } = openShardMetrics();
  using _expiry = tellExpiry(series.certificateExpiry, processTls());
  await using tracing = await openTracing({ service: 'showtell-ps', log });
  await using shard = await serveShard({ host, port: grpcPort, series, log, tracing });
  await using http = await serveHttp({
    ...{ host, port: httpPort, registry, what: "the shard's metrics", setting: '--http-port' },
    ready: () => (shard.isOpen ? true : 'no coordinator has opened it'),
  });
  process.stdout.write(`${JSON.stringify({ type: 'listening', grpc: shard.address, http: http.url })}\n`);
  if (!told.signal.aborted) await once(told.signal, 'abort');
  const deadline = Date.now() + graceMs;
  while (shard.isOpen && !over.signal.aborted && Date.now() < deadline) await delay(lookMs);
  process.stdin.pause();
}

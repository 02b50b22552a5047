import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { newGrpcServer } from '@showtell/shared/rpc/channel.js';
import { onlyRole } from '@showtell/shared/rpc/only-roles.js';
import { sealedParameterService, sealedShardService } from '@showtell/shared/rpc/sealed-service.js';
import { processTls } from '@showtell/shared/security/tls-folder.js';
import type { Logger } from '@showtell/shared/service/log.js';
import { noTracing, type Tracing } from '@showtell/shared/service/tracing.js';
import { modelParameters } from '../model-parameters.js';
import { listenUntilDisposed } from '../listen-until-disposed.js';
import { noteRefusals } from '../security/note-refusals.js';
import { refusedStatus } from '../security/refused-status.js';
import { ShardHost, type ShardHostOptions } from './shard-host.js';
import type { ShardSeries } from './shard-metrics.js';

export interface ServeShardOptions {
  /** Where to listen. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly series: ShardSeries;
  /** The parameters of a job; by default its model's. */
  readonly parametersOf?: ShardHostOptions['parametersOf'];
  readonly log: Logger;
  /** Where the spans of what workers ask begin; none by default. */
  readonly tracing?: Tracing;
}

/** A shard that serves whichever run opens it. */
export interface ServedShard extends AsyncDisposable {
  /** host:port, as others reach it. */
  readonly address: string;
  /** Whether a run's coordinator has opened it. */
  readonly isOpen: boolean;
}

/** Serves one shard of the parameter server until it is disposed of. @throws ShowtellError `service/port-taken` */
export async function serveShard({
  host,
  port: asked,
  series,
  log,
  parametersOf = modelParameters,
  tracing = noTracing,
}: ServeShardOptions): Promise<ServedShard> {
  const tls = processTls();
  const onRefused = noteRefusals(log, series);
  const shard = new ShardHost({
    ...{ series, log, parametersOf, onRefused, tracing },
    sharedMemory: existsSync('/dev/shm') ? '/dev/shm' : null,
    secured: tls !== null,
  });
  const byRole =
    tls === null
      ? []
      : [
          onlyRole('showtell.v1.ShardService', 'coordinator', onRefused),
          onlyRole('showtell.v1.ParameterService', 'worker', onRefused),
        ];
  const server = newGrpcServer(refusedStatus(onRefused), [...byRole, shard.early]);
  server.addService(sealedShardService, shard.handlers);
  // Sessions, evaluations and canaries are the coordinator's: grpc-js answers UNIMPLEMENTED for what is not there.
  server.addService(sealedParameterService, shard.workerHandlers);
  const listener = await listenUntilDisposed(
    server,
    { host, port: asked, tls, onRefused },
    { what: 'the shard', closeMs: 1_000 },
  );
  return {
    address: `${host === '0.0.0.0' ? hostname() : host}:${listener.port}`,
    get isOpen() {
      return shard.isOpen;
    },
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      await shard[Symbol.asyncDispose]();
    },
  };
}

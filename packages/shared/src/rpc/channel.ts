import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { checkServerIdentity as hostFault } from 'node:tls';
import {
  type ChannelCredentials,
  type ChannelOptions,
  credentials,
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { ParameterServiceClient } from '../generated/showtell/v1/parameters.js';
import type { ShardServiceClient } from '../generated/showtell/v1/shards.js';
import { identityOf, type Role } from '../security/role.js';
import { processTls, type TlsFolder } from '../security/tls-folder.js';
import { CallIdentity } from './call-identity.js';
import { SealedParameterServiceClient, SealedShardServiceClient } from './sealed-service.js';
import { watchStatuses, type OnStatus } from './watch-statuses.js';

/** Largest message either side takes: a chunk of 1 MiB and its frame, and headers with many rows. */
const maxMessageBytes = 4 * 1_048_576;

const limits: ChannelOptions = {
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': maxMessageBytes,
  // A peer whose machine vanished is noticed by pings; a process that died closes its socket, which is noticed at once.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
};

/**
 * What one connection may ask of a server: a worker has its session, one pull and a push or two open at a time. A stream's
 * headers are at most 64 KiB by Node's own bound; grpc-js has none.
 */
const serverLimits: ChannelOptions = { 'grpc.max_concurrent_streams': 32 };

export interface ConnectOptions {
  /** By default what the process was told to use; null: no TLS. */
  readonly tls?: TlsFolder | null;
  /** Whose certificate must be shown there: the coordinator's by default. */
  readonly of?: 'coordinator' | 'ps';
  /** What its calls say they are of; one for all connections of a membership. */
  readonly identity?: CallIdentity;
}

/**
 * Connects to a coordinator. A lost connection is tried again after 0.1 to 2 seconds. The certificate is read now: a new
 * connection is made with a renewed one.
 * @throws ShowtellError `tls/incomplete`, `tls/unusable`
 */
export function connectParameters(
  address: string,
  { tls = processTls(), of = 'coordinator', identity = new CallIdentity() }: ConnectOptions = {},
): ParameterServiceClient {
  return new SealedParameterServiceClient(address, credentialsFor(address, tls, of), {
    ...clientOptions(address, tls),
    interceptors: [identity.interceptor],
  });
}

const credentialsFor = (address: string, tls: TlsFolder | null, of: Role): ChannelCredentials =>
  tls === null ? credentials.createInsecure() : channelCredentials(tls, address, of);

const clientOptions = (address: string, tls: TlsFolder | null): ChannelOptions => ({
  ...limits,
  ...(tls === null ? {} : targetName(address)),
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
});

/** TLS tells a server by which name it is meant, and an IP address is none. */
const targetName = (address: string): ChannelOptions =>
  isIP(hostOf(address)) === 0 ? {} : { 'grpc.ssl_target_name_override': 'localhost' };

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');

function channelCredentials(tls: TlsFolder, address: string, of: Role): ChannelCredentials {
  const { ca, key, cert } = tls.read();
  return credentials.createSsl(ca, key, cert, {
    // Any holder of a certificate could pose as the server otherwise.
    checkServerIdentity: (_, peer) => {
      const host = hostOf(address);
      const role = identityOf(new X509Certificate(peer.raw))?.role ?? 'none';
      if (role !== of) return new Error(`the certificate at ${host} is for the role ${role}, not for ${of}`);
      return hostFault(host, peer);
    },
  });
}

/** Connects a coordinator to a shard of its parameter server. @throws ShowtellError `tls/incomplete`, `tls/unusable` */
export function connectShard(address: string, tls: TlsFolder | null = processTls()): ShardServiceClient {
  return new SealedShardServiceClient(address, credentialsFor(address, tls, 'ps'), clientOptions(address, tls));
}

/** A gRPC server with the same limits; services are added by the caller. @param onStatus told how each call ended */
export function newGrpcServer(onStatus: OnStatus | null = null, more: readonly ServerInterceptor[] = []): Server {
  const watching = onStatus === null ? [] : [watchStatuses(onStatus)];
  return new Server({ ...limits, ...serverLimits, interceptors: [...watching, ...more] });
}

/** Binds a server, port 0 for a free one. @returns the port */
export function listen(
  server: Server,
  address: string,
  serverCredentials: ServerCredentials = ServerCredentials.createInsecure(),
): Promise<number> {
  return new Promise((resolve, reject) =>
    server.bindAsync(address, serverCredentials, (error, port) => (error === null ? resolve(port) : reject(error))),
  );
}

/** Whether an idempotent call that failed so may succeed when it is made again. */
export function isTransient(error: unknown): boolean {
  const code = (error as Partial<ServiceError> | null)?.code;
  // Both ends are of one version: a method that the server does not know is a name that was damaged on its way.
  return [status.UNAVAILABLE, status.INTERNAL, status.UNKNOWN, status.UNIMPLEMENTED].some((each) => each === code);
}

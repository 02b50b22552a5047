import {
  type ChannelCredentials,
  type ChannelOptions,
  credentials,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { ParameterServiceClient } from '../generated/showtell/v1/parameters.js';

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

/** Connects to a coordinator. A lost connection is tried again after 0.1 to 2 seconds. */
export function connectParameters(
  address: string,
  channelCredentials: ChannelCredentials = credentials.createInsecure(),
): ParameterServiceClient {
  return new ParameterServiceClient(address, channelCredentials, {
    ...limits,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
  });
}

/** A gRPC server with the same limits; services are added by the caller. */
export function newGrpcServer(): Server {
  return new Server(limits);
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
  return code === status.UNAVAILABLE || code === status.INTERNAL || code === status.UNKNOWN;
}

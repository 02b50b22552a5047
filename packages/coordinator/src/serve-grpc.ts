import { ShowtellError } from '@showtell/shared/errors.js';
import {
  ParameterServiceService,
  type ParameterServiceServer,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { listen, newGrpcServer } from '@showtell/shared/rpc/channel.js';

/** How long calls may take to end at the close. */
const closeMs = 3_000;

/** Serves workers until it is disposed of. @throws ShowtellError `service/port-taken` */
export async function serveGrpc(
  host: string,
  grpcPort: number,
  handlers: ParameterServiceServer,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = newGrpcServer();
  server.addService(ParameterServiceService, handlers);
  const port = await listen(server, `${host}:${grpcPort}`).catch((cause: unknown) => {
    const facts = { what: 'the parameter server', host, port: grpcPort, setting: '--grpc-port' };
    throw new ShowtellError('service/port-taken', facts, { cause });
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const force = setTimeout(() => server.forceShutdown(), closeMs);
      await closed;
      clearTimeout(force);
    },
  };
}

import type { ServerInterceptor } from '@grpc/grpc-js';
import type { ParameterServiceServer } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { newGrpcServer } from '@showtell/shared/rpc/channel.js';
import type { ListenerOptions } from '@showtell/shared/rpc/listener.js';
import { sealedParameterService } from '@showtell/shared/rpc/sealed-service.js';
import { listenUntilDisposed } from './listen-until-disposed.js';
import { refusedStatus } from './security/refused-status.js';

/** Serves workers until it is disposed of. @throws ShowtellError `service/port-taken`, `service/cannot-listen` */
export async function serveGrpc(
  options: ListenerOptions,
  handlers: ParameterServiceServer,
  more: readonly ServerInterceptor[] = [],
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = newGrpcServer(refusedStatus(options.onRefused), more);
  server.addService(sealedParameterService, handlers);
  return listenUntilDisposed(server, options, { what: 'the parameter server', closeMs: 3_000 });
}

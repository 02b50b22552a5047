import type { Server } from '@grpc/grpc-js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { listenFor, type ListenerOptions } from '@showtell/shared/rpc/listener.js';
import { listenError } from '@showtell/shared/service/http.js';

/** What listens, for an error's words, and how long calls may take to end at the close. */
export interface ListeningAs {
  readonly what: string;
  readonly closeMs: number;
}

/** Lets a gRPC server listen until it is disposed of. @throws ShowtellError `service/port-taken`, `service/cannot-listen`, `tls/incomplete` */
export async function listenUntilDisposed(
  server: Server,
  options: ListenerOptions,
  { what, closeMs }: ListeningAs,
): Promise<AsyncDisposable & { readonly port: number }> {
  const { host, port } = options;
  const listener = await listenFor(server, options).catch((cause: unknown) => {
    if (cause instanceof ShowtellError) throw cause;
    throw listenError(cause as NodeJS.ErrnoException, { what, host, port, setting: '--grpc-port' });
  });
  return {
    port: listener.port,
    async [Symbol.asyncDispose]() {
      listener[Symbol.dispose]();
      const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const force = setTimeout(() => server.forceShutdown(), closeMs);
      await closed;
      clearTimeout(force);
    },
  };
}

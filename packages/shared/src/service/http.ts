import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { ShowtellError } from '../errors.js';

/** `true`, or why not. */
export type Condition = () => true | string;

export interface ServiceOptions {
  /** Default 127.0.0.1; `0.0.0.0` in a container. */
  readonly host?: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** What `/metrics` shows. */
  readonly registry: Registry;
  /** Ready for work: `/readyz` answers 200, otherwise 503 with the reason. */
  readonly ready: Condition;
  /** Alive: `/healthz`. Default: yes, as long as it answers. */
  readonly healthy?: Condition;
  /** Takes the requests that are none of these three; false when it is none of its own either (404). */
  readonly handle?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** How long a client may take to send a request, in milliseconds; Node's five minutes by default. */
  readonly requestMs?: number;
  /** For error messages: what is served, and the options by which a person changes the port and the host (default: --host). */
  readonly what: string;
  readonly setting: string;
  readonly hostSetting?: string;
}

/** How long requests under way may take once the server closes. */
const closeMs = 1_000;

export interface ServiceServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  /** Stops listening, waits until every request that was begun is answered, and ends connections as they fall idle. */
  drain(): Promise<void>;
  /** Stops listening, gives requests under way a moment to be answered, and ends open connections. */
  close(): Promise<void>;
}

/**
 * Serves `/metrics`, `/healthz` and `/readyz`.
 * @throws ShowtellError service/port-taken, service/cannot-listen
 */
export async function serveHttp(options: ServiceOptions): Promise<ServiceServer> {
  const host = options.host ?? '127.0.0.1';
  let isDraining = false;
  const server = createServer((request, response) => {
    if (isDraining) response.setHeader('connection', 'close');
    answer(options, request, response).catch((error: unknown) => {
      if (!response.headersSent) send(response, 500, `${String(error)}\n`);
      else response.destroy();
    });
  });
  if (options.requestMs !== undefined) {
    server.requestTimeout = options.requestMs;
    server.headersTimeout = options.requestMs;
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, { ...options, host })));
    server.listen(options.port, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const drain = (): Promise<void> =>
    new Promise((resolve) => {
      isDraining = true;
      // A request under way was told nothing of it when it came: its connection falls idle, and is ended then.
      const idle = setInterval(() => server.closeIdleConnections(), 50);
      server.close(() => {
        clearInterval(idle);
        resolve();
      });
      server.closeIdleConnections();
    });
  const close = async (): Promise<void> => {
    // A scrape at the end of a run is answered rather than cut; who takes longer has no claim to it.
    const late = setTimeout(() => server.closeAllConnections(), closeMs);
    await drain();
    clearTimeout(late);
  };
  return {
    host,
    port,
    drain,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function answer(options: ServiceOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0];
  const isOwn = path === '/metrics' || path === '/healthz' || path === '/readyz';
  if (!isOwn) {
    if (options.handle?.(request, response) !== true) send(response, 404, 'not found\n');
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    send(response, 405, 'GET only\n');
    return;
  }
  if (path === '/metrics') {
    send(response, 200, await options.registry.metrics(), options.registry.contentType);
    return;
  }
  const condition = path === '/readyz' ? options.ready : options.healthy;
  const state = condition?.() ?? true;
  if (state === true) send(response, 200, 'ok\n');
  else send(response, 503, `${state}\n`);
}

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  // Node itself leaves the body out of an answer to HEAD.
  response.end(body);
}

/** Where something was to listen, and what a person is told of it. */
export interface ListeningAt {
  readonly host: string;
  readonly port: number;
  readonly what: string;
  /** Of the port. */
  readonly setting: string;
  readonly hostSetting?: string;
}

/** Why nothing listens there, in the words of the table. */
export function listenError(
  error: NodeJS.ErrnoException,
  { host, port, what, setting, hostSetting = '--host' }: ListeningAt,
): ShowtellError {
  if (error.code === 'EADDRINUSE') {
    return new ShowtellError('service/port-taken', { host, port, what, setting }, { cause: error });
  }
  const reason = error.code === 'EACCES' ? 'the system reserves that port' : (error.code ?? error.message);
  const settings = `${hostSetting} and ${setting}`;
  return new ShowtellError('service/cannot-listen', { host, port, what, setting: settings, reason }, { cause: error });
}

import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import { KubeConfig } from '@kubernetes/client-node';
import { ShowtellError } from '@showtell/shared/errors.js';
import { ApiFailure } from './api-failure.js';

/** One request to the API server. */
export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: object;
  /** Of the body; `application/json` by default. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** Time without a byte after which the server counts as unreachable, in milliseconds. */
  readonly idleMs?: number;
}

/** How long what a kubeconfig says of certificates and tokens is used before it is read again. */
const credentialsMs = 60_000;

/** How long a connection is kept for the next request; API servers keep theirs longer. */
const keptMs = 30_000;

/**
 * An API server, found and authenticated to as kubectl does it. Objects travel as the JSON that they are: the client
 * library's own calls know fields by a table and drop others (docs/decisions/kubernetes-client.md).
 */
export class Connection {
  private credentials: { readonly options: RequestOptions; readonly until: number } | null = null;

  private constructor(
    private readonly config: KubeConfig,
    readonly server: string,
    /** The context's namespace. */
    readonly namespace: string,
  ) {}

  /**
   * By `KUBECONFIG`, `~/.kube/config` or the service account of the pod that this runs in.
   *
   * @throws ShowtellError `kubernetes/no-cluster`
   */
  static open(context: string | null = null): Connection {
    const config = new KubeConfig();
    try {
      config.loadFromDefault();
      if (context !== null) {
        if (config.getContextObject(context) === null) throw new Error(`there is no context ${context}`);
        config.setCurrentContext(context);
      }
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new ShowtellError('kubernetes/no-cluster', { detail }, { cause });
    }
    const cluster = config.getCurrentCluster();
    // The library's last resort, a server on this machine's port 8080, is nobody's wish.
    if (cluster === null || cluster.server === 'http://localhost:8080')
      throw new ShowtellError('kubernetes/no-cluster', { detail: 'no kubeconfig, and this is no pod' });
    const namespace = config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
    return new Connection(config, cluster.server.replace(/\/$/, ''), namespace);
  }

  /** @throws ApiFailure; ShowtellError `kubernetes/unreachable` */
  async request(request: Request): Promise<unknown> {
    const response = await this.stream({ idleMs: 30_000, ...request });
    return JSON.parse(await text(response)) as unknown;
  }

  /** The answer's body as it comes. @throws as {@link request} */
  async stream({ method, path, query = {}, body, contentType, signal, idleMs }: Request): Promise<IncomingMessage> {
    const url = new URL(this.server + path);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    const { headers, ...options } = await this.options();
    const content = body === undefined ? null : JSON.stringify(body);
    const begin = url.protocol === 'http:' ? httpRequest : httpsRequest;
    const send = (): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        const sent = begin(url, {
          ...options,
          method,
          headers: {
            ...(headers as Record<string, string> | undefined),
            accept: 'application/json',
            // The length by hand: Node sends the body of a DELETE without, and nobody reads it then.
            ...(content === null
              ? {}
              : {
                  'content-type': contentType ?? 'application/json',
                  'content-length': String(Buffer.byteLength(content)),
                }),
          },
          ...(signal === undefined ? {} : { signal }),
        });
        if (idleMs !== undefined)
          sent.setTimeout(idleMs, () => sent.destroy(new Error(`no answer within ${idleMs / 1000} s`)));
        sent.once('response', resolve).on('error', (cause: NodeJS.ErrnoException) => {
          if (signal?.aborted === true) reject(cause);
          // A kept connection that the server has closed meanwhile.
          else if (method === 'GET' && sent.reusedSocket && cause.code === 'ECONNRESET') resolve(send());
          else
            reject(new ShowtellError('kubernetes/unreachable', { server: this.server, detail: why(cause) }, { cause }));
        });
        sent.end(content);
      });
    const response = await send();
    const { statusCode = 0 } = response;
    if (statusCode < 200 || statusCode > 299) throw new ApiFailure(method, path, statusCode, await text(response));
    return response;
  }

  private async options(): Promise<RequestOptions> {
    if (this.credentials === null || this.credentials.until < Date.now()) {
      const options: RequestOptions = {};
      try {
        await this.config.applyToHTTPSOptions(options);
      } catch (cause) {
        throw new ShowtellError('kubernetes/no-cluster', { detail: why(cause as Error) }, { cause });
      }
      // The library's agent makes a connection for each request, and handshakes cost both sides more than what is asked.
      if (options.agent instanceof Agent && options.agent.constructor === Agent)
        options.agent = new Agent({ ...options.agent.options, keepAlive: true, timeout: keptMs });
      this.credentials = { options, until: Date.now() + credentialsMs };
    }
    return this.credentials.options;
  }
}

const why = (error: NodeJS.ErrnoException): string =>
  error.message === '' ? (error.code ?? error.name) : error.message;

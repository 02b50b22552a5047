import {
  connect,
  type ConnectionOptions,
  DebugEvents,
  ErrorCode,
  Events,
  type NatsConnection,
  NatsError,
  nkeyAuthenticator,
} from 'nats';
import { ShowtellError } from '../errors.js';
import { inboxPrefix } from '../security/nats-subjects.js';
import { processTls, type TlsFolder } from '../security/tls-folder.js';

/** What happened to the connection, for the log and for whoever has to rebuild what the broker lost. */
export type BusState =
  | { readonly type: 'disconnected'; readonly server: string }
  | { readonly type: 'reconnected'; readonly server: string }
  | { readonly type: 'lost'; readonly cause: unknown };

export interface BusOptions {
  /** Such as `nats://127.0.0.1:4222`; several for a cluster. */
  readonly servers: readonly string[];
  /** Shown in the broker's list of connections. */
  readonly name: string;
  /** How long a lost connection is tried again before it counts as lost for good. Default 60 s. */
  readonly giveUpAfterMs?: number;
  readonly onState?: (state: BusState) => void;
  /** By default what the process was told to use; null: neither TLS nor a key. */
  readonly tls?: TlsFolder | null;
}

const retryMs = 250;
const jitterMs = 50;

/**
 * Connects to NATS; a broken connection is taken up again by itself for `giveUpAfterMs`.
 *
 * @throws ShowtellError `bus/unreachable` when no server answers, `bus/refused`, `tls/incomplete`, `tls/unusable`
 */
export async function connectBus(options: BusOptions): Promise<NatsConnection> {
  const { giveUpAfterMs = 60_000, tls = processTls() } = options;
  let connection: NatsConnection;
  try {
    connection = await connect({
      // Each request would note its stack, which nobody reads.
      noAsyncTraces: true,
      servers: [...options.servers],
      name: options.name,
      timeout: 5_000,
      reconnectDelayHandler: retryDelay(),
      maxReconnectAttempts: Math.ceil(giveUpAfterMs / retryMs),
      pingInterval: 10_000,
      maxPingOut: 2,
      ...(tls === null ? {} : credentialsOf(tls)),
    });
  } catch (cause) {
    const servers = options.servers.join(', ');
    const refused = refusalIn(cause);
    if (refused !== null) throw new ShowtellError('bus/refused', { servers, detail: refused }, { cause });
    throw new ShowtellError('bus/unreachable', { servers }, { cause });
  }
  void follow(connection, options);
  return connection;
}

/**
 * How long after its last try the client tries again. It reckons by the clock on the wall: where that was set back by an hour
 * meanwhile, it would not try for an hour.
 */
function retryDelay(): () => number {
  let seen = Date.now();
  return () => {
    const now = Date.now();
    const wasSetBack = now < seen;
    seen = now;
    return wasSetBack ? Number.NEGATIVE_INFINITY : retryMs + Math.random() * jitterMs;
  };
}

/** Read anew at each connection, the later ones too: certificates and keys may be renewed. */
function credentialsOf(tls: TlsFolder): ConnectionOptions {
  return {
    tls: { caFile: tls.file('ca'), certFile: tls.file('certificate'), keyFile: tls.file('key') },
    authenticator: nkeyAuthenticator(() => tls.natsSeed()),
    inboxPrefix: inboxPrefix(tls.identity.role),
    // While the server's files are renewed it may refuse for a moment.
    ignoreAuthErrorAbort: true,
  };
}

/** Why a server and this process do not go together; null: for another reason than that. */
function refusalIn(error: unknown): string | null {
  if (error instanceof NatsError) {
    const { code, message, chainedError } = error;
    const refusals: readonly string[] = [
      ErrorCode.AuthorizationViolation,
      ErrorCode.AuthenticationExpired,
      ErrorCode.BadAuthentication,
      ErrorCode.Tls,
    ];
    if (refusals.includes(code) || /certificate|tls|secure/i.test(message)) return chainedError?.message ?? message;
  }
  const { code = '', message } = error as NodeJS.ErrnoException;
  return /CERT|TLS|SSL/.test(code) || /certificate|ssl|tls/i.test(message) ? message : null;
}

async function follow(connection: NatsConnection, options: BusOptions): Promise<void> {
  const report = (state: BusState): void => options.onState?.(state);
  void connection.closed().then((cause) => {
    if (cause !== undefined) report({ type: 'lost', cause });
  });
  for await (const status of connection.status()) {
    const server = typeof status.data === 'string' ? status.data : '';
    if (status.type === Events.Disconnect) report({ type: 'disconnected', server });
    else if (status.type === Events.Reconnect) report({ type: 'reconnected', server });
    else if (status.type === DebugEvents.StaleConnection) report({ type: 'disconnected', server });
  }
}

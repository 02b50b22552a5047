import { connect, DebugEvents, Events, type NatsConnection } from 'nats';
import { ShowtellError } from '../errors.js';

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
}

const retryMs = 250;

/**
 * Connects to NATS; a broken connection is taken up again by itself for `giveUpAfterMs`.
 *
 * @throws ShowtellError `bus/unreachable` when no server answers.
 */
export async function connectBus(options: BusOptions): Promise<NatsConnection> {
  const giveUpAfterMs = options.giveUpAfterMs ?? 60_000;
  let connection: NatsConnection;
  try {
    connection = await connect({
      servers: [...options.servers],
      name: options.name,
      timeout: 5_000,
      reconnectTimeWait: retryMs,
      reconnectJitter: 50,
      maxReconnectAttempts: Math.ceil(giveUpAfterMs / retryMs),
      pingInterval: 10_000,
      maxPingOut: 2,
    });
  } catch (cause) {
    throw new ShowtellError('bus/unreachable', { servers: options.servers.join(', ') }, { cause });
  }
  void follow(connection, options);
  return connection;
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

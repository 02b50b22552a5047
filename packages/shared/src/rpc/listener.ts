import { createServer, type AddressInfo, type Socket, type Server as NetServer } from 'node:net';
import {
  createSecureContext,
  createServer as createTlsServer,
  type Server as TlsServer,
  type TLSSocket,
} from 'node:tls';
import { ServerCredentials, type Server } from '@grpc/grpc-js';
import type { OnRefused, RefusalReason } from '../security/refusal.js';
import type { TlsFolder } from '../security/tls-folder.js';
import { watchFiles } from '../security/watch-files.js';

export interface ListenerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Null: whoever reaches the port may connect. */
  readonly tls: TlsFolder | null;
  readonly onRefused: OnRefused;
  /** New certificates were read, or could not be: then the old ones stay. */
  readonly onRenewed?: (fault: Error | null) => void;
  /** How often the certificate's files are looked at. Default 5 s. */
  readonly lookMs?: number;
  /** Most connections at a time. */
  readonly maxConnections?: number;
  /** Most connections that have not yet shown who they are. */
  readonly maxHandshakes?: number;
  /** What a handshake may take. */
  readonly handshakeMs?: number;
}

/** A port at which a gRPC server answers. */
export interface Listener extends Disposable {
  readonly port: number;
}

/**
 * Lets a gRPC server answer at a port. The connections are accepted here and handed to it, because it tells nobody of those
 * that it turns away, and takes any number: with TLS only certificates of the own authority are let in, renewed ones are
 * used without a restart, and each refusal is told.
 * @throws what the port's binding threw
 */
export async function listenFor(server: Server, options: ListenerOptions): Promise<Listener> {
  const { host, port, tls, maxConnections = 2_048 } = options;
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const pass = (socket: Socket): void => {
    // Of what is not HTTP/2 the server above says nothing.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith('ERR_HTTP2') === true) refuse(options, socket, 'malformed', error.message);
    });
    injector.injectConnection(socket);
  };
  const door = tls === null ? createServer({ noDelay: true }, pass) : secureDoor(tls, options, pass);
  const sockets = new Set<Socket>();
  door.prependListener('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (sockets.size <= maxConnections) return;
    refuse(options, socket, 'too-many-connections', `there are ${maxConnections} already`);
    socket.destroy();
  });
  const renewing = tls === null ? null : renew(door as TlsServer, tls, options);
  try {
    await bound(door, host, port);
  } catch (error) {
    renewing?.[Symbol.dispose]();
    throw error;
  }
  return {
    port: (door.address() as AddressInfo).port,
    [Symbol.dispose]: () => {
      renewing?.[Symbol.dispose]();
      door.close();
    },
  };
}

function secureDoor(tls: TlsFolder, options: ListenerOptions, pass: (socket: Socket) => void): TlsServer {
  const { maxHandshakes = 256, handshakeMs: handshakeTimeout = 10_000 } = options;
  // Who is not authorized is turned away below, where the reason is known.
  const asking = {
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  } as const;
  const door = createTlsServer({ ...tls.read(), ...oldest, ...asking, handshakeTimeout, noDelay: true });
  const begun = new Set<string>();
  door.prependListener('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    socket.once('close', () => begun.delete(peer));
    if (begun.size >= maxHandshakes) {
      refuse(options, socket, 'too-many-connections', `${maxHandshakes} have not yet shown who they are`);
      socket.destroy();
    } else begun.add(peer);
  });
  door.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    // Who only looked whether somebody listens refused nothing and was not refused.
    if (error.code !== 'ECONNRESET') refuse(options, socket, 'handshake', error.message);
    socket.destroy();
  });
  door.on('secureConnection', (socket) => {
    begun.delete(peerOf(socket));
    const fault = faultOf(socket);
    if (fault === null) {
      pass(socket);
      return;
    }
    socket.on('error', () => undefined);
    refuse(options, socket, fault.reason, fault.detail);
    socket.destroy();
  });
  return door;
}

/** Older versions of TLS are not spoken, with renewed certificates neither. */
const oldest = { minVersion: 'TLSv1.3' } as const;

/** What is wrong with who connected, as OpenSSL names it. */
function faultOf(socket: TLSSocket): { reason: RefusalReason; detail: string } | null {
  if (socket.authorized) return null;
  if (socket.getPeerX509Certificate() === undefined)
    return { reason: 'no-certificate', detail: 'no certificate was shown' };
  // In spite of its type this is OpenSSL's code.
  const code = String(socket.authorizationError);
  const reason =
    code === 'CERT_HAS_EXPIRED'
      ? 'certificate-expired'
      : authorityFaults.includes(code)
        ? 'unknown-authority'
        : 'certificate';
  return { reason, detail: code };
}

const authorityFaults: readonly string[] = [
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
];

function renew(door: TlsServer, tls: TlsFolder, { onRenewed, lookMs }: ListenerOptions): Disposable {
  const files = [tls.file('ca'), tls.file('certificate'), tls.file('key')];
  const use = (): void => {
    try {
      const material = { ...tls.read(), ...oldest };
      // A key that does not belong to the certificate is noticed here, and not by the next worker.
      createSecureContext(material);
      door.setSecureContext(material);
      onRenewed?.(null);
    } catch (error) {
      onRenewed?.(error as Error);
    }
  };
  return watchFiles(files, use, lookMs);
}

function refuse({ onRefused }: ListenerOptions, socket: Socket, reason: RefusalReason, detail: string): void {
  onRefused({ reason, detail, peer: peerOf(socket) });
}

const peerOf = ({ remoteAddress = 'unknown', remotePort = 0 }: Socket): string => `${remoteAddress}:${remotePort}`;

function bound(door: NetServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    door.once('error', reject);
    door.listen(port, host, () => {
      door.off('error', reject);
      resolve();
    });
  });
}

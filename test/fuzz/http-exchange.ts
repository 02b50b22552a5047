import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

/** Turns of the event loop that an answer may take before the client hangs up. */
const patience = 200;

/** A client's end of a connection in memory: what it sends, and what came back. */
class Connection extends Duplex {
  readonly #received: Buffer[] = [];
  readonly remoteAddress = '127.0.0.1';
  override _read(): void {
    // What is sent is pushed at once.
  }
  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    this.#received.push(piece);
    done();
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  get received(): string {
    return Buffer.concat(this.#received).toString('latin1');
  }
}

/** Node's own HTTP server on connections in memory, so that a request's every byte is the test's. */
export class HttpExchange {
  readonly #server: Server;
  readonly #open = new Set<IncomingMessage>();

  constructor(handle: Handle) {
    this.#server = createServer((request, response) => {
      this.#open.add(request);
      response.once('close', () => this.#open.delete(request));
      handle(request, response);
    });
  }

  /** Sends bytes, and hangs up once every request that came whole is answered. @returns statuses in their order */
  async send(bytes: Buffer): Promise<number[]> {
    const connection = new Connection();
    connection.on('error', () => undefined);
    this.#server.emit('connection', connection);
    connection.push(bytes);
    for (let turn = 0; turn < patience; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (turn > 1 && ![...this.#open].some(({ complete }) => complete)) break;
    }
    connection.push(null);
    await new Promise((resolve) => setImmediate(resolve));
    connection.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    return [...connection.received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
  }
}

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Random } from '@showtell/shared/random.js';
import { isMessage, NatsFrames, type NatsFrame } from './nats-frames.js';

/** A message that is held back goes on after this time, whatever comes. */
const overtakenMs = 15;

/**
 * A TCP proxy that harms what passes: flips bits, and where it knows the protocol (NATS) lets messages overtake each other
 * or come twice. Unlike Toxiproxy it changes content.
 */
export class MeddlingProxy implements AsyncDisposable {
  reorders = false;
  repeats = false;
  private flips = 0;
  private leastBytes = 1;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly draw: Random,
  ) {}

  static async open(upstreamPort: number, protocol: 'bytes' | 'nats', draw: Random): Promise<MeddlingProxy> {
    const server = createServer();
    const proxy = new MeddlingProxy(server, draw);
    server.on('connection', (client) => proxy.join(client, connect(upstreamPort, '127.0.0.1'), protocol));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** One bit each of so many of the pieces that pass from now on and are not smaller than `leastBytes`. */
  flip(bits: number, leastBytes = 1): void {
    this.flips = bits;
    this.leastBytes = leastBytes;
  }

  /** @returns how many were not flipped, for want of anything passing */
  stopFlipping(): number {
    const left = this.flips;
    this.flips = 0;
    return left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private join(client: Socket, server: Socket, protocol: 'bytes' | 'nats'): void {
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(from);
      from.setNoDelay(true);
      const pass = protocol === 'nats' ? this.passMessages(to) : (bytes: Buffer): void => this.send(to, bytes, 0);
      from.on('data', (bytes: Buffer) => {
        pass(bytes);
        if (to.writableNeedDrain) from.pause();
      });
      to.on('drain', () => from.resume());
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.sockets.delete(from);
        to.destroy();
      });
    }
  }

  private passMessages(to: Socket): (bytes: Buffer) => void {
    const frames = new NatsFrames();
    let late: NatsFrame | null = null;
    const release = (): void => {
      if (late !== null) this.send(to, late.bytes, late.payloadAt);
      late = null;
    };
    return (bytes) => {
      for (const frame of frames.push(bytes)) {
        if (this.reorders && late === null && isMessage(frame)) {
          late = frame;
          setTimeout(release, overtakenMs);
          continue;
        }
        this.send(to, frame.bytes, frame.payloadAt);
        if (this.repeats && isMessage(frame)) this.send(to, frame.bytes, frame.payloadAt);
        release();
      }
    };
  }

  /** @param from where the bytes begin that may be harmed */
  private send(to: Socket, bytes: Buffer, from: number): void {
    if (this.flips > 0 && bytes.length - from >= this.leastBytes) {
      this.flips--;
      bytes = Buffer.from(bytes);
      const at = from + this.draw.integer(bytes.length - from);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << this.draw.integer(8));
    }
    if (!to.destroyed) to.write(bytes);
  }
}

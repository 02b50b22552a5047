/** One protocol message of NATS: a line, and for those that carry one the payload. */
export interface NatsFrame {
  /** `MSG`, `HPUB`, `PING` … */
  readonly verb: string;
  readonly bytes: Buffer;
  /** Where the payload begins; the end of `bytes` where there is none. */
  readonly payloadAt: number;
}

const carrying = ['PUB', 'HPUB', 'MSG', 'HMSG'];

/** Cuts one direction of a connection into frames. https://docs.nats.io/reference/reference-protocols/nats-protocol */
export class NatsFrames {
  private rest = Buffer.alloc(0);

  /** @returns the frames that are whole with these bytes */
  push(bytes: Buffer): NatsFrame[] {
    this.rest = Buffer.concat([this.rest, bytes]);
    const frames: NatsFrame[] = [];
    for (let frame = this.take(); frame !== null; frame = this.take()) frames.push(frame);
    return frames;
  }

  private take(): NatsFrame | null {
    const end = this.rest.indexOf('\r\n');
    if (end === -1) return null;
    const words = this.rest.toString('latin1', 0, end).split(/\s+/);
    const verb = (words[0] ?? '').toUpperCase();
    const payloadAt = end + 2;
    const size = carrying.includes(verb) ? payloadAt + Number(words.at(-1)) + 2 : payloadAt;
    if (this.rest.length < size) return null;
    const frame = { verb, bytes: this.rest.subarray(0, size), payloadAt };
    this.rest = this.rest.subarray(size);
    return frame;
  }
}

/** Whether it is a message that somebody sent, of which there may be two, or which may come late. */
export function isMessage({ verb }: NatsFrame): boolean {
  return carrying.includes(verb);
}

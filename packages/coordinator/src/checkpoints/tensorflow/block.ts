import { appendVarint, readVarint } from './varint.js';

/** Bytes of keys for one of their block: they are whole at every 16th, so that no more than 16 can be due. */
const mostKeyBytes = 64;

/** A key of a table and its value. */
export interface TableEntry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/**
 * The entries of a block: each key tells how many bytes it shares with the one before; at the end stand the places where
 * a key is whole again, which only searching needs, and their number.
 * @throws RangeError when it is not one
 */
export function readBlock(block: Buffer): TableEntry[] {
  return [...blockEntries(block)];
}

/** As {@link readBlock}, an entry at a time: all of them may take far more memory than the block. */
export function* blockEntries(block: Buffer): Generator<TableEntry> {
  if (block.length < 4) throw new RangeError(`a block is ${block.length} bytes long`);
  const end = block.length - 4 - 4 * block.readUInt32LE(block.length - 4);
  if (end < 0) throw new RangeError('a block counts more restarts than it has');
  let key = Buffer.alloc(0);
  let isFirst = true;
  let keyBytes = 0;
  for (let at = 0; at < end;) {
    const shared = readVarint(block, at);
    const own = readVarint(block, shared.next);
    const length = readVarint(block, own.next);
    const valueAt = length.next + own.value;
    if (shared.value > key.length || valueAt + length.value > end)
      throw new RangeError('an entry goes beyond its block');
    keyBytes += valueAt - length.next + shared.value;
    if (keyBytes > mostKeyBytes * block.length) throw new RangeError('its keys repeat themselves without end');
    const before = key;
    key = Buffer.concat([key.subarray(0, shared.value), block.subarray(length.next, valueAt)]);
    if (!isFirst && Buffer.compare(before, key) >= 0) throw new RangeError('the keys of a block do not rise');
    isFirst = false;
    at = valueAt + length.value;
    yield { key, value: block.subarray(valueAt, at) };
  }
}

/** Puts entries into a block, keys rising. */
export class BlockBuilder {
  readonly #pieces: Buffer[] = [];
  readonly #restarts = [0];
  #bytes = 0;
  #since = 0;
  #last: Buffer = Buffer.alloc(0);

  /** @param interval entries from one whole key to the next */
  constructor(readonly interval: number) {}

  add(key: Buffer, value: Buffer): void {
    let shared = 0;
    if (this.#since === this.interval) {
      this.#restarts.push(this.#bytes);
      this.#since = 0;
    } else {
      const most = Math.min(this.#last.length, key.length);
      while (shared < most && this.#last[shared] === key[shared]) shared++;
    }
    const head: number[] = [];
    for (const number of [shared, key.length - shared, value.length]) appendVarint(number, head);
    this.#push(Buffer.from(head), key.subarray(shared), value);
    this.#last = key;
    this.#since++;
  }

  #push(...pieces: readonly Buffer[]): void {
    for (const piece of pieces) this.#bytes += piece.length;
    this.#pieces.push(...pieces);
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** Of the finished block. */
  get bytes(): number {
    return this.#bytes + 4 * (this.#restarts.length + 1);
  }

  finish(): Buffer {
    const tail = Buffer.alloc(4 * (this.#restarts.length + 1));
    for (const [i, restart] of [...this.#restarts, this.#restarts.length].entries()) tail.writeUInt32LE(restart, 4 * i);
    return Buffer.concat([...this.#pieces, tail]);
  }
}

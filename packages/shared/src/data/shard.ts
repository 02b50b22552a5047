import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { once } from 'node:events';
import { crc32c } from '@node-rs/crc32';
import { ShowtellError } from '../errors.js';
import { FOOTER_BYTES, frameLength, frameRecord, HEADER_BYTES, maskedCrc32c } from './tfrecord.js';

/**
 * Where a shard's records are and what their bytes must be, kept beside it as `SHARD.index`. Little-endian: the eight
 * bytes `STINDEX1`; uint64 bytes of the shard; uint32 number of records; uint32 CRC-32C of all that follows; then for
 * each record uint64 offset of its data, uint32 length of its data, uint32 masked CRC-32C of its data.
 */
export interface ShardIndex {
  readonly shardBytes: number;
  readonly count: number;
  /** Of record i's data, in bytes from the start of the shard. */
  offset(i: number): number;
  length(i: number): number;
  /** Masked CRC-32C of record i's data, as it stands in the shard. */
  crc(i: number): number;
  /** The record whose data begin at an offset, or −1. */
  at(offset: number): number;
  /** Of the index file's bytes, hexadecimal. */
  readonly sha256: string;
}

export interface IndexEntry {
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

const MAGIC = Buffer.from('STINDEX1', 'latin1');
const INDEX_HEADER_BYTES = 24;
const ENTRY_BYTES = 16;

export function indexFile(shardFile: string): string {
  return `${shardFile}.index`;
}

function encodeIndex(shardBytes: number, entries: readonly IndexEntry[]): Buffer {
  const bytes = Buffer.alloc(INDEX_HEADER_BYTES + entries.length * ENTRY_BYTES);
  MAGIC.copy(bytes);
  bytes.writeBigUInt64LE(BigInt(shardBytes), 8);
  bytes.writeUInt32LE(entries.length, 16);
  for (const [i, entry] of entries.entries()) {
    const at = INDEX_HEADER_BYTES + i * ENTRY_BYTES;
    bytes.writeBigUInt64LE(BigInt(entry.offset), at);
    bytes.writeUInt32LE(entry.length, at + 8);
    bytes.writeUInt32LE(entry.crc, at + 12);
  }
  bytes.writeUInt32LE(crc32c(bytes.subarray(INDEX_HEADER_BYTES)), 20);
  return bytes;
}

/** @throws ShowtellError `data/index-unreadable` when the bytes are damaged or disagree with themselves */
export function decodeIndex(bytes: Buffer, file: string): ShardIndex {
  const unreadable = (detail: string) => new ShowtellError('data/index-unreadable', { file, detail });
  if (bytes.length < INDEX_HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) throw unreadable('it is no index');
  const count = bytes.readUInt32LE(16);
  const expected = INDEX_HEADER_BYTES + count * ENTRY_BYTES;
  if (bytes.length !== expected) throw unreadable(`it has ${bytes.length} bytes where ${expected} are due`);
  if (bytes.readUInt32LE(20) !== crc32c(bytes.subarray(INDEX_HEADER_BYTES))) throw unreadable('its CRC is wrong');
  const shardBytes = Number(bytes.readBigUInt64LE(8));
  const base = (i: number): number => {
    if (!Number.isInteger(i) || i < 0 || i >= count) throw new RangeError(`record ${i} of ${count} in ${file}`);
    return INDEX_HEADER_BYTES + i * ENTRY_BYTES;
  };
  const offset = (i: number) => Number(bytes.readBigUInt64LE(base(i)));
  const length = (i: number) => bytes.readUInt32LE(base(i) + 8);
  let end = 0;
  for (let i = 0; i < count; i++) {
    if (offset(i) !== end + HEADER_BYTES) throw unreadable(`record ${i} does not follow the one before`);
    end = offset(i) + length(i) + FOOTER_BYTES;
  }
  if (end !== shardBytes) throw unreadable(`its records end at byte ${end} of ${shardBytes}`);
  return {
    shardBytes,
    count,
    offset,
    length,
    crc: (i) => bytes.readUInt32LE(base(i) + 12),
    at: (wanted) => {
      let low = 0;
      let high = count - 1;
      while (low <= high) {
        const middle = (low + high) >>> 1;
        const found = offset(middle);
        if (found === wanted) return middle;
        if (found < wanted) low = middle + 1;
        else high = middle - 1;
      }
      return -1;
    },
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
}

/** @throws ShowtellError `data/index-unreadable` */
export async function readIndex(file: string): Promise<ShardIndex> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new ShowtellError('data/index-unreadable', { file, detail: 'there is no such file' }, { cause });
  });
  return decodeIndex(bytes, file);
}

/**
 * What is wrong with a whole frame (header, data, footer) read for an index entry; null when nothing is. The index has
 * the last word, so bytes that are sound by themselves but not those indexed are refused.
 */
export function frameFault(frame: Buffer, entry: IndexEntry): string | null {
  const wanted = HEADER_BYTES + entry.length + FOOTER_BYTES;
  if (frame.length !== wanted) return `the file ends ${wanted - frame.length} bytes too early`;
  if (frameLength(frame) !== entry.length) return 'its length is damaged';
  if (maskedCrc32c(frame.subarray(HEADER_BYTES, HEADER_BYTES + entry.length)) !== entry.crc) {
    return 'the CRC of its bytes is not the one in the index';
  }
  if (frame.readUInt32LE(HEADER_BYTES + entry.length) !== entry.crc) return 'its stored CRC is damaged';
  return null;
}

/**
 * Writes a shard and its index beside their final names and renames both at the end, the index last: a shard with an
 * index is whole.
 */
export class ShardWriter implements AsyncDisposable {
  readonly #stream;
  readonly #partial: string;
  readonly #entries: IndexEntry[] = [];
  #position = 0;
  #open = true;

  constructor(readonly file: string) {
    this.#partial = `${file}.partial`;
    this.#stream = createWriteStream(this.#partial, { highWaterMark: 1024 * 1024, flush: true });
    // An error (a full disk) surfaces in append and close; without a listener it would end the process first.
    this.#stream.on('error', () => undefined);
  }

  async append(data: Uint8Array): Promise<void> {
    const frame = frameRecord(data);
    const crc = frame.readUInt32LE(HEADER_BYTES + data.length);
    this.#entries.push({ offset: this.#position + HEADER_BYTES, length: data.length, crc });
    this.#position += frame.length;
    if (this.#stream.errored) throw this.#stream.errored;
    if (!this.#stream.write(frame)) await once(this.#stream, 'drain');
  }

  /** Syncs, renames, and returns the number of records. */
  async close(): Promise<number> {
    this.#open = false;
    this.#stream.end();
    await finished(this.#stream);
    await rename(this.#partial, this.file);
    await writeIndex(this.file, this.#position, this.#entries);
    return this.#entries.length;
  }

  /** Leaves nothing behind when the shard was not closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#stream.destroy();
    await rm(this.#partial, { force: true });
  }
}

/** Writes `SHARD.index` beside, synced, and renames it. */
export async function writeIndex(shardFile: string, shardBytes: number, entries: readonly IndexEntry[]): Promise<void> {
  const file = indexFile(shardFile);
  const partial = `${file}.partial`;
  const handle = await open(partial, 'w');
  try {
    await writeFile(handle, encodeIndex(shardBytes, entries));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}

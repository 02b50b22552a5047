import { maskedCrc32c } from '@showtell/shared/data/tfrecord.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { blockEntries, type TableEntry } from './block.js';
import { FileBytes } from './file-bytes.js';
import { unsnappy } from './snappy.js';
import { footerBytes, tableMagic, trailerBytes } from './table-format.js';
import { readVarint } from './varint.js';

/** Bytes of keys that an index may have for one of the file: each may share all but its last with the one before. */
const mostIndexKeys = 16;

interface BlockHandle {
  readonly offset: number;
  readonly bytes: number;
}

/**
 * A sorted table of keys and values as LevelDB and TensorFlow (core/lib/io/table) have it. Only its index stays in memory;
 * a block is read, checked against its CRC and unpacked when it is asked for.
 */
export class TableReader {
  /** Every block with a key that none of its keys is beyond. */
  readonly #blocks: readonly { readonly last: Buffer; readonly handle: BlockHandle }[];
  #held: { readonly offset: number; readonly block: Buffer } | null = null;

  /** @throws ShowtellError `tensorflow/malformed`, `file/missing` */
  constructor(private readonly file: FileBytes) {
    const { size } = file;
    if (size < footerBytes) throw file.malformed(`it is ${size} bytes long`);
    const footer = file.read(size - footerBytes, footerBytes);
    if (!footer.subarray(-tableMagic.length).equals(tableMagic))
      throw file.malformed('it does not end as a table does');
    this.#blocks = file.parse(() => {
      const index = readHandle(footer, readHandle(footer, 0).next);
      return this.#readIndex(this.#blockBytes(index.handle));
    });
  }

  /** Blocks lie one behind the other: no byte of the file is read twice. @throws RangeError */
  #readIndex(block: Buffer): { last: Buffer; handle: BlockHandle }[] {
    const blocks: { last: Buffer; handle: BlockHandle }[] = [];
    let end = 0;
    let keyBytes = 0;
    for (const { key, value } of blockEntries(block)) {
      const { handle } = readHandle(value, 0);
      keyBytes += key.length;
      if (handle.offset < end || keyBytes > mostIndexKeys * (this.file.size + 1))
        throw new RangeError('its index does not go through the file');
      end = handle.offset + handle.bytes + trailerBytes;
      blocks.push({ last: key, handle });
    }
    return blocks;
  }

  #blockBytes({ offset, bytes }: BlockHandle): Buffer {
    const whole = this.file.read(offset, bytes + trailerBytes);
    const crc = whole.readUInt32LE(bytes + 1);
    const found = maskedCrc32c(whole.subarray(0, bytes + 1));
    if (found !== crc) throw this.file.malformed(`the block at byte ${offset} does not have its CRC`);
    const block = whole.subarray(0, bytes);
    switch (whole[bytes]) {
      case 0:
        return block;
      case 1:
        return unsnappy(block);
      default:
        throw this.file.malformed(`the block at byte ${offset} is packed in an unknown way (${whole[bytes] ?? ''})`);
    }
  }

  #entries({ handle }: { readonly handle: BlockHandle }): Iterable<TableEntry> {
    if (this.#held?.offset !== handle.offset)
      this.#held = { offset: handle.offset, block: this.file.parse(() => this.#blockBytes(handle)) };
    return blockEntries(this.#held.block);
  }

  /** Every entry in the order of the keys, a block in memory at a time. @throws ShowtellError `tensorflow/malformed` */
  *entries(): Generator<TableEntry> {
    try {
      for (const block of this.#blocks) yield* this.#entries(block);
    } catch (error) {
      this.file.parse(() => {
        throw error;
      });
    }
  }

  /** @returns null when there is no such key. @throws ShowtellError `tensorflow/malformed` */
  get(key: Buffer): Buffer | null {
    const block = this.#blocks.find(({ last }) => Buffer.compare(key, last) <= 0);
    if (block === undefined) return null;
    return this.file.parse(() => {
      for (const entry of this.#entries(block)) if (entry.key.equals(key)) return entry.value;
      return null;
    });
  }
}

function readHandle(bytes: Buffer, at: number): { handle: BlockHandle; next: number } {
  const offset = readVarint(bytes, at);
  const length = readVarint(bytes, offset.next);
  return { handle: { offset: offset.value, bytes: length.value }, next: length.next };
}

/** Whether a file ends as a table does. @throws ShowtellError `file/missing` */
export function isTable(file: string): boolean {
  try {
    const bytes = new FileBytes(file);
    return (
      bytes.size >= footerBytes && bytes.read(bytes.size - tableMagic.length, tableMagic.length).equals(tableMagic)
    );
  } catch (error) {
    if (error instanceof ShowtellError && error.code === 'tensorflow/malformed') return false;
    throw error;
  }
}

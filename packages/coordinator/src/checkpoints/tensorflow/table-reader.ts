import { maskedCrc32c } from '@showtell/shared/data/tfrecord.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { readBlock, type TableEntry } from './block.js';
import { FileBytes } from './file-bytes.js';
import { unsnappy } from './snappy.js';
import { footerBytes, tableMagic, trailerBytes } from './table-format.js';
import { readVarint } from './varint.js';

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
  #held: { readonly offset: number; readonly entries: readonly TableEntry[] } | null = null;

  /** @throws ShowtellError `tensorflow/malformed`, `file/missing` */
  constructor(private readonly file: FileBytes) {
    const { size } = file;
    if (size < footerBytes) throw file.malformed(`it is ${size} bytes long`);
    const footer = file.read(size - footerBytes, footerBytes);
    if (!footer.subarray(-tableMagic.length).equals(tableMagic))
      throw file.malformed('it does not end as a table does');
    this.#blocks = file.parse(() => {
      const index = readHandle(footer, readHandle(footer, 0).next);
      return readBlock(this.#blockBytes(index.handle)).map(({ key, value }) => ({
        last: key,
        handle: readHandle(value, 0).handle,
      }));
    });
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

  #entries({ handle }: { readonly handle: BlockHandle }): readonly TableEntry[] {
    if (this.#held?.offset !== handle.offset)
      this.#held = { offset: handle.offset, entries: this.file.parse(() => readBlock(this.#blockBytes(handle))) };
    return this.#held.entries;
  }

  /** Every entry in the order of the keys, a block in memory at a time. @throws ShowtellError `tensorflow/malformed` */
  *entries(): Generator<TableEntry> {
    for (const block of this.#blocks) yield* this.#entries(block);
  }

  /** @returns null when there is no such key. @throws ShowtellError `tensorflow/malformed` */
  get(key: Buffer): Buffer | null {
    const block = this.#blocks.find(({ last }) => Buffer.compare(key, last) <= 0);
    if (block === undefined) return null;
    return this.#entries(block).find((entry) => entry.key.equals(key))?.value ?? null;
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

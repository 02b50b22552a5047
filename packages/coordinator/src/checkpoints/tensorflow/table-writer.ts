import { maskedCrc32c } from '@showtell/shared/data/tfrecord.js';
import { BlockBuilder, type TableEntry } from './block.js';
import { footerBytes, tableMagic, trailerBytes } from './table-format.js';
import { appendVarint } from './varint.js';

/** TensorFlow's numbers (core/lib/io/table_options.h), so that the bytes are those it would write. */
const blockBytes = 262_144;
const restartInterval = 16;

/** A table's bytes, not packed; the entries with rising keys. */
export function tableBytes(entries: Iterable<TableEntry>): Buffer {
  const pieces: Buffer[] = [];
  let offset = 0;
  const write = (block: Buffer): Buffer => {
    const trailer = Buffer.alloc(trailerBytes);
    trailer.writeUInt32LE(maskedCrc32c(Buffer.concat([block, trailer.subarray(0, 1)])), 1);
    const handle: number[] = [];
    for (const number of [offset, block.length]) appendVarint(number, handle);
    pieces.push(block, trailer);
    offset += block.length + trailerBytes;
    return Buffer.from(handle);
  };
  const index = new BlockBuilder(1);
  let data = new BlockBuilder(restartInterval);
  let last: Buffer = Buffer.alloc(0);
  let written: Buffer | null = null;
  for (const { key, value } of entries) {
    if (written !== null) index.add(separator(last, key), written);
    written = null;
    data.add(key, value);
    last = key;
    if (data.bytes < blockBytes) continue;
    written = write(data.finish());
    data = new BlockBuilder(restartInterval);
  }
  if (!data.isEmpty) written = write(data.finish());
  const meta = write(new BlockBuilder(restartInterval).finish());
  if (written !== null) index.add(successor(last), written);
  const handles = Buffer.concat([meta, write(index.finish())]);
  return Buffer.concat([
    ...pieces,
    handles,
    Buffer.alloc(footerBytes - tableMagic.length - handles.length),
    tableMagic,
  ]);
}

/** A short key from `last` on and before `next`. */
function separator(last: Buffer, next: Buffer): Buffer {
  let same = 0;
  while (same < last.length && same < next.length && last[same] === next[same]) same++;
  const [a, b] = [last[same], next[same]];
  if (a === undefined || b === undefined || a === 0xff || a + 1 >= b) return last;
  return Buffer.concat([last.subarray(0, same), Buffer.from([a + 1])]);
}

/** A short key from `last` on. */
function successor(last: Buffer): Buffer {
  const at = last.findIndex((byte) => byte !== 0xff);
  return at === -1 ? last : Buffer.concat([last.subarray(0, at), Buffer.from([(last[at] ?? 0) + 1])]);
}

import { createHash } from 'node:crypto';
import { crc32c } from '@node-rs/crc32';
import { readVarint } from '@showtell/coordinator/checkpoints/tensorflow/varint.js';
import { readBlock } from '@showtell/coordinator/checkpoints/tensorflow/block.js';
import { maskedCrc32c } from '@showtell/shared/data/tfrecord.js';

/*
 * Checksums made right. Who means harm makes them right too, and chance does not: without this a fuzzer sees little but
 * the check of the sum.
 */

/** Frames of a TFRecord file whose lengths lie in it. */
export function sealRecords(input: Buffer): Buffer {
  const bytes = Buffer.from(input);
  for (let at = 0; at + 12 <= bytes.length;) {
    const length = bytes.readUInt32LE(at);
    bytes.writeUInt32LE(maskedCrc32c(bytes.subarray(at, at + 8)), at + 8);
    const end = at + 12 + length;
    if (bytes.readUInt32LE(at + 4) !== 0 || end + 4 > bytes.length) break;
    bytes.writeUInt32LE(maskedCrc32c(bytes.subarray(at + 12, end)), end);
    at = end + 4;
  }
  return bytes;
}

/** The index of a shard. */
export function sealIndex(input: Buffer): Buffer {
  const bytes = Buffer.from(input);
  if (bytes.length >= 24) bytes.writeUInt32LE(crc32c(bytes.subarray(24)), 20);
  return bytes;
}

/** A sorted table: its index's block and those that it names. */
export function sealTable(input: Buffer): Buffer {
  const bytes = Buffer.from(input);
  try {
    const footer = bytes.subarray(-48);
    const meta = readVarint(footer, readVarint(footer, 0).next);
    sealBlock(bytes, footer, meta.next);
    const index = handleAt(footer, meta.next);
    if (bytes[index.offset + index.length] === 0)
      for (const { value } of readBlock(bytes.subarray(index.offset, index.offset + index.length)))
        sealBlock(bytes, value, 0);
    sealBlock(bytes, footer, meta.next);
  } catch {
    // As far as it can be followed.
  }
  return bytes;
}

function handleAt(bytes: Buffer, at: number): { offset: number; length: number } {
  const offset = readVarint(bytes, at);
  return { offset: offset.value, length: readVarint(bytes, offset.next).value };
}

function sealBlock(bytes: Buffer, handle: Buffer, at: number): void {
  const { offset, length } = handleAt(handle, at);
  const end = offset + length + 1;
  if (end + 4 <= bytes.length) bytes.writeUInt32LE(maskedCrc32c(bytes.subarray(offset, end)), end);
}

/** Lines of a journal. */
export function sealJournal(text: string): string {
  const sealed = text.split('\n').map((line) => {
    try {
      const { at, entry } = JSON.parse(line) as { at: unknown; entry: unknown };
      return JSON.stringify({ crc: crc32c(JSON.stringify([at, entry])), at, entry });
    } catch {
      return line;
    }
  });
  return sealed.join('\n');
}

/** A checkpoint's manifest. */
export function sealManifest(text: string): string {
  try {
    const content = JSON.parse(text) as Record<string, unknown>;
    delete content['manifestSha256'];
    const manifestSha256 = createHash('sha256').update(JSON.stringify(content)).digest('hex');
    return JSON.stringify({ ...content, manifestSha256 });
  } catch {
    return text;
  }
}

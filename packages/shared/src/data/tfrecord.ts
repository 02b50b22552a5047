import { open } from 'node:fs/promises';
import { crc32c } from '@node-rs/crc32';
import { ShowtellError } from '../errors.js';

/**
 * TensorFlow's record framing: uint64 length, masked CRC-32C of those eight bytes, the data, masked CRC-32C of the
 * data, all little-endian. An *offset* throughout this project is that of the data, `HEADER_BYTES` into the frame.
 */
export const HEADER_BYTES = 12;
export const FOOTER_BYTES = 4;

/** No record is longer: a JPEG of this size is a fault of the file, not a picture. */
const MAX_RECORD_BYTES = 256 * 1024 * 1024;

const CHUNK_BYTES = 4 * 1024 * 1024;

/** CRC-32C (Castagnoli), rotated and shifted as TensorFlow masks it, so that a CRC of CRCs does no harm. */
export function maskedCrc32c(data: Uint8Array): number {
  return maskCrc32c(crc32c(data));
}

/** A CRC-32C that was made piece by piece, as TensorFlow masks it. */
export function maskCrc32c(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** The frame of one record, ready to be appended to a file. */
export function frameRecord(data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + data.length + FOOTER_BYTES);
  frame.writeUInt32LE(data.length, 0);
  frame.writeUInt32LE(0, 4);
  frame.writeUInt32LE(maskedCrc32c(frame.subarray(0, 8)), 8);
  frame.set(data, HEADER_BYTES);
  frame.writeUInt32LE(maskedCrc32c(data), HEADER_BYTES + data.length);
  return frame;
}

/**
 * The length a frame's first twelve bytes announce.
 * @returns null when their CRC is wrong or the length is beyond {@link MAX_RECORD_BYTES}
 */
export function frameLength(header: Buffer): number | null {
  if (header.readUInt32LE(8) !== maskedCrc32c(header.subarray(0, 8))) return null;
  const length = header.readUInt32LE(0) + header.readUInt32LE(4) * 0x100000000;
  return length <= MAX_RECORD_BYTES ? length : null;
}

/** A record met while reading a file from its start. */
interface ScannedRecord {
  /** Of the data, in bytes from the start of the file. */
  readonly offset: number;
  readonly length: number;
  /** The masked CRC-32C that stands in the file. */
  readonly crc: number;
  /** Whether the data has that CRC. */
  readonly sound: boolean;
  /** A view into a buffer that the next record may reuse: copy what is kept. */
  readonly data: Buffer;
}

/**
 * Reads a TFRecord file from its start. Data with a wrong CRC is handed on as unsound, since its length is still known.
 * @throws ShowtellError `data/shard-unreadable` when a length is damaged or the file ends within a record,
 *   `file/missing` when there is no such file
 */
export async function* scanRecords(file: string): AsyncGenerator<ScannedRecord> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    throw new ShowtellError('file/missing', { file, what: 'The TFRecord file' }, { cause });
  });
  try {
    const { size } = await handle.stat();
    yield* scanSource({ file, size, read: (...where) => handle.read(...where) });
  } finally {
    await handle.close();
  }
}

/** Where the bytes of a TFRecord file come from. */
interface RecordSource {
  /** For messages. */
  readonly file: string;
  readonly size: number;
  readonly read: (
    into: Buffer,
    offset: number,
    length: number,
    position: number,
  ) => Promise<{ readonly bytesRead: number }>;
}

/** As {@link scanRecords}. @throws ShowtellError `data/shard-unreadable` */
export async function* scanSource({ file, size, read }: RecordSource): AsyncGenerator<ScannedRecord> {
  let buffer: Buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size));
  let start = 0; // of the unread part of the buffer
  let end = 0;
  let position = 0; // in the file, of buffer[start]

    const have = async (bytes: number): Promise<boolean> => {
      if (position + bytes > size) return false;
      if (end - start >= bytes) return true;
      if (bytes > buffer.length) {
        const larger = Buffer.allocUnsafe(Math.min(bytes + CHUNK_BYTES, size));
        buffer.copy(larger, 0, start, end);
        buffer = larger;
      } else {
        buffer.copyWithin(0, start, end);
      }
      end -= start;
      start = 0;
      while (end < bytes) {
        const { bytesRead } = await read(buffer, end, buffer.length - end, position + end);
        if (bytesRead === 0) return false;
        end += bytesRead;
      }
      return true;
    };

    while (position < size) {
      if (!(await have(HEADER_BYTES))) throw truncated(file, position, size);
      const length = frameLength(buffer.subarray(start, start + HEADER_BYTES));
      if (length === null) {
        const detail = `the record length at byte ${position} is damaged or this is no TFRecord file`;
        throw new ShowtellError('data/shard-unreadable', { file, detail });
      }
      const frameBytes = HEADER_BYTES + length + FOOTER_BYTES;
      if (!(await have(frameBytes))) throw truncated(file, position, size);
      const data = buffer.subarray(start + HEADER_BYTES, start + HEADER_BYTES + length);
      const crc = buffer.readUInt32LE(start + HEADER_BYTES + length);
      yield { offset: position + HEADER_BYTES, length, crc, sound: maskedCrc32c(data) === crc, data };
      start += frameBytes;
      position += frameBytes;
    }
}

function truncated(file: string, position: number, size: number): ShowtellError {
  const detail = `it ends at byte ${size}, within the record that begins at byte ${position}`;
  return new ShowtellError('data/shard-unreadable', { file, detail });
}

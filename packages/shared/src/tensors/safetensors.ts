import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { endianness } from 'node:os';
import { ShowtellError } from '../errors.js';
import { quoted } from '../quoted.js';
import { fromBfloat16 } from './bfloat16.js';
import { bytesOfTensor, inNameOrder, type NamedTensor } from './hash.js';
import { sizeOf } from './layout.js';
import { allocateShared } from './shared-memory.js';

/**
 * The safetensors format: a little-endian 64-bit length, a JSON header of that length with each tensor's dtype, shape
 * and byte range, then the bytes, which the ranges cover without gap or overlap.
 */
const elementBytes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;
export type SafetensorsDtype = keyof typeof elementBytes;

/** The format's own limit on the header's length. */
const maxHeaderBytes = 100_000_000;

/** Bytes that pass through memory at a time. */
const pieceBytes = 4 * 1_048_576;

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Within the file. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsFile {
  readonly file: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order in which they stand in the file. */
  readonly entries: readonly SafetensorsEntry[];
}

if (endianness() !== 'LE') throw new Error('showtell runs on little-endian machines only');

/**
 * The file's bytes in order, from which it can be written or hashed: tensors in name order, the header padded with
 * spaces to a multiple of 8.
 */
export function* safetensorsBytes(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array> {
  const ordered = inNameOrder(tensors);
  yield encodeHeader(ordered, metadata);
  for (const { values } of ordered) {
    const bytes = bytesOfTensor(values);
    for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes);
  }
}

function encodeHeader(ordered: readonly NamedTensor[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let begin = 0;
  for (const { name, shape, values } of ordered) {
    if (sizeOf(shape) !== values.length)
      throw new RangeError(`${name} has ${values.length} values, not ${String(shape)}`);
    if (name === '__metadata__' || name in header) throw new RangeError(`two tensors are named ${name}`);
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, begin + values.byteLength] };
    begin += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(8 + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length));
  json.copy(bytes, 8);
  return bytes;
}

/** Writes a new file and leaves it unsynced. @throws the system's error, such as ENOSPC or EEXIST */
export function writeSafetensors(
  file: string,
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): void {
  const fd = openSync(file, 'wx');
  try {
    for (const piece of safetensorsBytes(tensors, metadata)) writeWhole(fd, piece);
  } finally {
    closeSync(fd);
  }
}

/** Writes all of `bytes` at the file's position: a single call may write less, as when the disk fills up. */
export function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done);
}

/**
 * Reads and checks a file's header; no tensor is read.
 * @throws ShowtellError `tensors/malformed` when the header is not one or does not fit the file
 */
export function readSafetensorsHeader(file: string): SafetensorsFile {
  const refuse = (detail: string): ShowtellError => new ShowtellError('tensors/malformed', { file, detail });
  const fd = openSync(file, 'r');
  try {
    const size = fstatSync(fd).size;
    if (size < 8) throw refuse(`it is ${size} bytes long`);
    const start = Buffer.alloc(8);
    readSync(fd, start, 0, 8, 0);
    const length = start.readBigUInt64LE();
    if (length > BigInt(Math.min(size - 8, maxHeaderBytes)))
      throw refuse(`its header should be ${length.toString()} bytes, the file has ${size}`);
    const bytes = Buffer.alloc(Number(length));
    readSync(fd, bytes, 0, bytes.length, 8);
    let header: unknown;
    try {
      header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (cause) {
      throw new ShowtellError('tensors/malformed', { file, detail: 'its header is no JSON' }, { cause });
    }
    return { file, ...parseHeader(header, 8 + bytes.length, size, refuse) };
  } finally {
    closeSync(fd);
  }
}

function parseHeader(
  header: unknown,
  dataStart: number,
  size: number,
  refuse: (detail: string) => ShowtellError,
): Omit<SafetensorsFile, 'file'> {
  if (!isRecord(header)) throw refuse('its header is no JSON object');
  const { __metadata__: metadata = {}, ...tensors } = header;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string'))
    throw refuse('__metadata__ is no object of strings');
  const entries = Object.entries(tensors).map(([name, value]) => parseEntry(name, value, dataStart, size, refuse));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = dataStart;
  for (const entry of entries) {
    if (entry.begin !== end) throw refuse(`${entry.name} begins at byte ${entry.begin}, not ${end}`);
    end = entry.end;
  }
  if (end !== size) throw refuse(`its tensors end at byte ${end} of ${size}`);
  return { metadata: metadata as Record<string, string>, entries };
}

function parseEntry(
  name: string,
  value: unknown,
  dataStart: number,
  size: number,
  refuse: (detail: string) => ShowtellError,
): SafetensorsEntry {
  if (!isRecord(value)) throw refuse(`${name} is described by no object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(elementBytes, dtype))
    throw refuse(`${name} has the unknown dtype ${quoted(dtype)}`);
  if (!isNaturals(shape)) throw refuse(`${name} has the shape ${quoted(shape)}`);
  if (!isNaturals(offsets) || offsets.length !== 2) throw refuse(`${name} lies at ${quoted(offsets)}`);
  const [begin = 0, end = 0] = offsets;
  const bytes = sizeOf(shape) * elementBytes[dtype as SafetensorsDtype];
  if (end - begin !== bytes) throw refuse(`${name} takes ${end - begin} bytes, its shape and dtype ${bytes}`);
  if (dataStart + end > size) throw refuse(`${name} ends beyond the file`);
  return { name, dtype: dtype as SafetensorsDtype, shape, begin: dataStart + begin, end: dataStart + end };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);
}

/**
 * Reads one tensor as float32 into `into`, or into memory of its own that threads share.
 * @throws ShowtellError `tensors/malformed` when its dtype is neither F32 nor BF16, or the file ends early
 */
export function readTensor(
  { file }: SafetensorsFile,
  entry: SafetensorsEntry,
  into: Float32Array = new Float32Array(allocateShared(sizeOf(entry.shape) * 4), 0, sizeOf(entry.shape)),
): Float32Array {
  if (into.length !== sizeOf(entry.shape))
    throw new RangeError(`${entry.name} has ${sizeOf(entry.shape)} values, not ${into.length}`);
  if (entry.dtype === 'BF16') {
    const narrow = new Uint16Array(into.length);
    readBytes(file, entry.begin, new Uint8Array(narrow.buffer));
    fromBfloat16(narrow, into);
  } else if (entry.dtype === 'F32') {
    readBytes(file, entry.begin, bytesOfTensor(into));
  } else {
    throw new ShowtellError('tensors/malformed', { file, detail: `${entry.name} is ${entry.dtype}, not F32 or BF16` });
  }
  return into;
}

function readBytes(file: string, position: number, into: Uint8Array): void {
  const fd = openSync(file, 'r');
  try {
    for (let done = 0; done < into.length;) {
      const read = readSync(fd, into, done, Math.min(pieceBytes, into.length - done), position + done);
      if (read === 0)
        throw new ShowtellError('tensors/malformed', { file, detail: `it ends at byte ${position + done}` });
      done += read;
    }
  } finally {
    closeSync(fd);
  }
}

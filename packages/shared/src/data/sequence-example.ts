import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { ShowtellError } from '../errors.js';

/**
 * One image–caption pair, as im2txt's build_mscoco_data.py puts it in a SequenceExample: context `image/image_id`
 * (int64) and `image/data` (JPEG bytes), feature lists `image/caption` (words) and `image/caption_ids` (int64), both
 * from `<S>` to `</S>`.
 */
export interface CaptionExample {
  readonly imageId: number;
  readonly jpeg: Uint8Array;
  readonly words: readonly string[];
  readonly ids: Int32Array;
}

/** The part of a pair that a step on cached features needs. */
interface CaptionIds {
  readonly imageId: number;
  readonly ids: Int32Array;
}

const CONTEXT = 1;
const FEATURE_LISTS = 2;
const MAP_ENTRY = 1;
const KEY = 1;
const VALUE = 2;
const BYTES_LIST = 1;
const INT64_LIST = 3;
const LIST_FEATURE = 1;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The SequenceExample's bytes; maps in the order that Python protobuf's deterministic serialization gives them. */
export function encodeCaptionExample(example: CaptionExample): Uint8Array {
  const { imageId, jpeg, words, ids } = example;
  const writer = new BinaryWriter();
  writer.tag(CONTEXT, WireType.LengthDelimited).fork();
  writeEntry(writer, 'image/data', () => writeBytesFeature(writer, jpeg));
  writeEntry(writer, 'image/image_id', () => writeInt64Feature(writer, imageId));
  writer.join();
  writer.tag(FEATURE_LISTS, WireType.LengthDelimited).fork();
  const encoder = new TextEncoder();
  writeEntry(writer, 'image/caption_ids', () => {
    for (const id of ids) {
      writer.tag(LIST_FEATURE, WireType.LengthDelimited).fork();
      writeInt64Feature(writer, id);
      writer.join();
    }
  });
  writeEntry(writer, 'image/caption', () => {
    for (const word of words) {
      writer.tag(LIST_FEATURE, WireType.LengthDelimited).fork();
      writeBytesFeature(writer, encoder.encode(word));
      writer.join();
    }
  });
  writer.join();
  return writer.finish();
}

function writeEntry(writer: BinaryWriter, key: string, writeValue: () => void): void {
  writer.tag(MAP_ENTRY, WireType.LengthDelimited).fork();
  writer.tag(KEY, WireType.LengthDelimited).string(key);
  writer.tag(VALUE, WireType.LengthDelimited).fork();
  writeValue();
  writer.join().join();
}

function writeBytesFeature(writer: BinaryWriter, value: Uint8Array): void {
  writer.tag(BYTES_LIST, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).bytes(value);
  writer.join();
}

function writeInt64Feature(writer: BinaryWriter, value: number): void {
  writer.tag(INT64_LIST, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).fork().int64(value).join();
  writer.join();
}

/**
 * Reads a pair; the JPEG is a view of `bytes`, not a copy.
 * @param where named in the error: a file and offset, say
 * @throws ShowtellError `data/record-malformed`
 */
export function decodeCaptionExample(bytes: Uint8Array, where = 'The record'): CaptionExample {
  const fields = readFields(bytes, where, true);
  if (fields.jpeg === undefined) throw malformed(where, 'context feature "image/data" is missing');
  if (fields.words === undefined) throw malformed(where, 'feature list "image/caption" is missing');
  const pair = checkedIds(fields, where);
  if (fields.words.length !== pair.ids.length) {
    throw malformed(where, `it has ${fields.words.length} words but ${pair.ids.length} ids`);
  }
  return { ...pair, jpeg: fields.jpeg, words: fields.words };
}

/**
 * Reads only what a step on cached features needs, passing over the JPEG and the words.
 * @throws ShowtellError `data/record-malformed`
 */
export function decodeCaptionIds(bytes: Uint8Array, where = 'The record'): CaptionIds {
  return checkedIds(readFields(bytes, where, false), where);
}

interface Fields {
  imageId?: number;
  jpeg?: Uint8Array;
  words?: string[];
  ids?: number[];
}

function checkedIds(fields: Fields, where: string): CaptionIds {
  if (fields.imageId === undefined) throw malformed(where, 'context feature "image/image_id" is missing');
  if (fields.ids === undefined) throw malformed(where, 'feature list "image/caption_ids" is missing');
  for (const id of fields.ids) {
    if (id < 0 || id > 0x7fffffff) throw malformed(where, `${id} is no word id`);
  }
  return { imageId: fields.imageId, ids: Int32Array.from(fields.ids) };
}

function malformed(where: string, detail: string, cause?: unknown): ShowtellError {
  return new ShowtellError('data/record-malformed', { where, detail }, { cause });
}

function readFields(bytes: Uint8Array, where: string, withBytes: boolean): Fields {
  const fields: Fields = {};
  try {
    for (const [field, body] of submessages(bytes)) {
      if (field === CONTEXT) {
        for (const [key, feature] of mapEntries(body)) {
          if (key === 'image/image_id') fields.imageId = oneOf(key, int64sOf(feature));
          else if (key === 'image/data' && withBytes) fields.jpeg = oneOf(key, bytesOf(feature));
        }
      } else if (field === FEATURE_LISTS) {
        for (const [key, list] of mapEntries(body)) {
          if (key === 'image/caption_ids') fields.ids = listOf(list, (f) => oneOf(key, int64sOf(f)));
          else if (key === 'image/caption' && withBytes) {
            fields.words = listOf(list, (f) => utf8.decode(oneOf(key, bytesOf(f))));
          }
        }
      }
    }
  } catch (cause) {
    throw malformed(where, cause instanceof Error ? cause.message : String(cause), cause);
  }
  return fields;
}

/**
 * The length-delimited fields of a message; others are passed over. The reader checks neither lengths nor ends by
 * itself, so each is checked here.
 */
function* submessages(bytes: Uint8Array): Generator<[field: number, body: Uint8Array]> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited) {
      const length = reader.uint32();
      if (length > reader.len - reader.pos) throw new RangeError(`field ${field} runs ${length} bytes, past its end`);
      yield [field, bytes.subarray(reader.pos, reader.pos + length)];
      reader.pos += length;
    } else {
      reader.skip(wireType, field);
    }
  }
  if (reader.pos > reader.len) throw new RangeError('the message ends within a field');
}

function* mapEntries(bytes: Uint8Array): Generator<[key: string, value: Uint8Array]> {
  for (const [field, entry] of submessages(bytes)) {
    if (field !== MAP_ENTRY) continue;
    let key = '';
    let value: Uint8Array = new Uint8Array();
    for (const [part, body] of submessages(entry)) {
      if (part === KEY) key = utf8.decode(body);
      else if (part === VALUE) value = body;
    }
    yield [key, value];
  }
}

function listOf<T>(list: Uint8Array, read: (feature: Uint8Array) => T): T[] {
  const values: T[] = [];
  for (const [field, feature] of submessages(list)) if (field === LIST_FEATURE) values.push(read(feature));
  return values;
}

function* bytesOf(feature: Uint8Array): Generator<Uint8Array> {
  for (const [kind, list] of submessages(feature)) {
    if (kind !== BYTES_LIST) continue;
    for (const [field, value] of submessages(list)) if (field === 1) yield value;
  }
}

/** Packed, as every writer of today has it, or one varint a value, as proto2's did. */
function* int64sOf(feature: Uint8Array): Generator<number> {
  for (const [kind, list] of submessages(feature)) {
    if (kind !== INT64_LIST) continue;
    const reader = new BinaryReader(list);
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field !== 1) {
        reader.skip(wireType, field);
        continue;
      }
      const end = wireType === WireType.LengthDelimited ? reader.uint32() + reader.pos : reader.pos + 1;
      if (end > reader.len) throw new RangeError('an int64 list runs past its end');
      while (reader.pos < end) yield safeInteger(reader.int64());
    }
  }
}

function safeInteger(value: bigint | string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${value} is beyond 2^53`);
  return number;
}

/** The only value of a list that is not kept: a stranger's may be as long as the record. */
function oneOf<T>(key: string, values: Iterable<T>): T {
  const found: T[] = [];
  for (const value of values) {
    found.push(value);
    if (found.length > 1) break;
  }
  const [value] = found;
  if (value === undefined || found.length > 1)
    throw new RangeError(`"${key}" has ${value === undefined ? 'no value' : 'several values'} where one is due`);
  return value;
}

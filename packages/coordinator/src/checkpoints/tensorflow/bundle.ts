import { crc32c } from '@node-rs/crc32';
import { maskCrc32c } from '@showtell/shared/data/tfrecord.js';
import {
  BundleEntryProto,
  BundleHeaderProto,
  BundleHeaderProto_Endianness,
} from '@showtell/shared/generated/tensorflow/tensor_bundle.js';
import { sizeOf } from '@showtell/shared/tensors/layout.js';
import type { StoredVariable, VariableSource } from '../variable-source.js';
import { elementType, typeName } from './element-types.js';
import { FileBytes } from './file-bytes.js';
import { checkCover, placeSlice, readShape, readSlice } from './slice.js';
import { sliceKey } from './slice-key.js';
import { TableReader } from './table-reader.js';

/** Bytes of a tensor that pass through memory at a time; a multiple of every type's size. */
const pieceBytes = 4 * 1_048_576;

/** Of the format (TensorFlow's kTensorBundleVersion); a file says which readers it is too new for. */
const formatVersion = 1;

/**
 * Opens a V2 checkpoint: `PREFIX.index`, a table of names with type, shape, place and CRC, and `PREFIX.data-…`, the
 * tensors' bytes. The index is read whole, data when a variable is; a data file that is missing or cut short is told at
 * once, even where only an optimizer's variables would be lost.
 * @throws ShowtellError `file/missing`, `tensorflow/malformed`
 */
export function openBundle(prefix: string, path: string): VariableSource {
  const index = new FileBytes(`${prefix}.index`);
  const entries = new Map<string, BundleEntryProto>();
  const slices = new Map<string, BundleEntryProto>();
  let header: BundleHeaderProto | null = null;
  for (const { key, value } of new TableReader(index).entries())
    index.parse(() => {
      if (key.length === 0) header = BundleHeaderProto.decode(value);
      else if (key[0] === 0) slices.set(key.toString('latin1'), BundleEntryProto.decode(value));
      else entries.set(key.toString(), BundleEntryProto.decode(value));
    });
  const bundle = new Bundle(prefix, index, checkHeader(index, header), slices);
  bundle.checkLengths([...entries.values(), ...slices.values()]);
  return {
    format: 'TensorFlow V2 checkpoint',
    path,
    variables: [...entries].map(([name, entry]) => bundle.variable(name, entry)),
  };
}

function checkHeader(index: FileBytes, header: BundleHeaderProto | null): BundleHeaderProto {
  if (header === null) throw index.malformed('it has no header: a V1 checkpoint or another table');
  if (header.endianness !== BundleHeaderProto_Endianness.LITTLE) throw index.malformed('its values are big-endian');
  if ((header.version?.minConsumer ?? 0) > formatVersion)
    throw index.malformed('its format is newer than is known here');
  if (header.numShards < 1 || header.numShards > 99_999) throw index.malformed(`it has ${header.numShards} data files`);
  return header;
}

class Bundle {
  constructor(
    private readonly prefix: string,
    private readonly index: FileBytes,
    private readonly header: BundleHeaderProto,
    private readonly slices: ReadonlyMap<string, BundleEntryProto>,
  ) {}

  /** @throws ShowtellError `file/missing`, `tensorflow/malformed` when a data file is shorter than its tensors */
  checkLengths(entries: readonly BundleEntryProto[]): void {
    const ends = new Map<number, number>();
    for (const { shardId, offset, size, slices } of entries) {
      if (offset < 0 || size < 0) throw this.index.malformed(`a tensor takes ${size} bytes from byte ${offset} on`);
      if (slices.length === 0) ends.set(shardId, Math.max(ends.get(shardId) ?? 0, offset + size));
    }
    for (const [shard, end] of ends) {
      const data = this.#dataFile(shard);
      if (data.size < end) throw data.malformed(`it has ${data.size} bytes, its tensors end at byte ${end}`);
    }
  }

  variable(name: string, entry: BundleEntryProto): StoredVariable {
    const shape = this.index.parse(() => readShape(entry.shape));
    this.#checkSize(name, entry, shape);
    return {
      name,
      shape,
      type: typeName(entry.dtype),
      numeric: elementType(entry.dtype) !== null,
      slices: Math.max(1, entry.slices.length),
      read: (into) => this.#read(name, entry, shape, into),
    };
  }

  /** Before whoever reads the variable takes memory for its shape. */
  #checkSize(name: string, entry: BundleEntryProto, shape: readonly number[]): void {
    const type = elementType(entry.dtype);
    if (type === null) return;
    const stored =
      entry.slices.length === 0
        ? entry.size
        : this.#slicesOf(name, entry, shape).reduce((sum, { stored: { size } }) => sum + size, 0);
    if (stored !== sizeOf(shape) * type.bytes)
      throw this.index.malformed(`${name} takes ${stored} bytes, its shape and type ${sizeOf(shape) * type.bytes}`);
  }

  /** Where the slices lie, which cover the tensor. @throws ShowtellError `tensorflow/malformed` */
  #slicesOf(name: string, entry: BundleEntryProto, shape: readonly number[]) {
    return this.index.parse(() => {
      const slices = entry.slices.map((slice) => readSlice(slice, shape));
      checkCover(slices, shape);
      return slices.map((slice) => {
        const stored = this.slices.get(sliceKey(name, slice.stated).toString('latin1'));
        if (stored === undefined) throw new RangeError(`a slice of ${name} is missing`);
        return { slice, stored };
      });
    });
  }

  #read(name: string, entry: BundleEntryProto, shape: readonly number[], into: Float32Array): void {
    if (into.length !== sizeOf(shape)) throw new RangeError(`${name} has ${sizeOf(shape)} values, not ${into.length}`);
    if (entry.slices.length === 0) {
      this.#readWhole(name, entry, into);
      return;
    }
    for (const { slice, stored } of this.#slicesOf(name, entry, shape)) {
      const values = new Float32Array(sizeOf(slice.lengths));
      this.#readWhole(name, stored, values);
      placeSlice(values, slice, shape, into);
    }
  }

  #readWhole(
    name: string,
    { dtype, shardId, offset, size, crc32c: expected }: BundleEntryProto,
    into: Float32Array,
  ): void {
    const type = elementType(dtype);
    if (type === null) throw this.index.malformed(`${name} is ${typeName(dtype)}, not numbers`);
    if (size !== into.length * type.bytes)
      throw this.index.malformed(`${name} takes ${size} bytes, its shape and type ${into.length * type.bytes}`);
    const data = this.#dataFile(shardId);
    let crc = 0;
    for (let at = 0; at < size; at += pieceBytes) {
      const piece = data.read(offset + at, Math.min(pieceBytes, size - at));
      crc = crc32c(piece, crc);
      const from = at / type.bytes;
      type.convert(piece.buffer as ArrayBuffer, into.subarray(from, from + piece.length / type.bytes));
    }
    if (maskCrc32c(crc) !== expected) throw data.malformed(`the bytes of ${name} do not have their CRC`);
  }

  #dataFile(shard: number): FileBytes {
    const { numShards } = this.header;
    if (shard < 0 || shard >= numShards) throw this.index.malformed(`it names data file ${shard} of ${numShards}`);
    return new FileBytes(dataFileOf(this.prefix, shard, numShards));
  }
}

export function dataFileOf(prefix: string, shard: number, shards: number): string {
  const digits = (number: number): string => String(number).padStart(5, '0');
  return `${prefix}.data-${digits(shard)}-of-${digits(shards)}`;
}

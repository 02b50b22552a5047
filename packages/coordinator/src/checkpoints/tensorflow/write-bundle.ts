import { closeSync, fsyncSync, openSync } from 'node:fs';
import { crc32c } from '@node-rs/crc32';
import { maskCrc32c } from '@showtell/shared/data/tfrecord.js';
import {
  BundleEntryProto,
  BundleHeaderProto,
  BundleHeaderProto_Endianness,
} from '@showtell/shared/generated/tensorflow/tensor_bundle.js';
import { DataType } from '@showtell/shared/generated/tensorflow/types.js';
import { bytesOfTensor, inNameOrder } from '@showtell/shared/tensors/hash.js';
import { sizeOf } from '@showtell/shared/tensors/layout.js';
import { writeWhole } from '@showtell/shared/tensors/safetensors.js';
import type { TableEntry } from './block.js';
import { dataFileOf } from './bundle.js';
import { tableBytes } from './table-writer.js';

/** A tensor to be written; its values are asked for when their turn comes, so that one at a time is in memory. */
export interface TensorToWrite {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: () => Float32Array | Int32Array;
  readonly type: 'float32' | 'int32';
}

/**
 * The bytes of `PREFIX.data-00000-of-00001` in order: tensors in name order, without gaps.
 * @param told of each tensor's index entry when its bytes have been handed over
 */
export function* bundleData(
  tensors: readonly TensorToWrite[],
  told: (name: string, entry: BundleEntryProto) => void,
): Generator<Uint8Array> {
  let offset = 0;
  for (const { name, shape, values, type } of inNameOrder(tensors)) {
    const array = values();
    if (array.length !== sizeOf(shape))
      throw new RangeError(`${name} has ${array.length} values, not ${String(shape)}`);
    const bytes =
      array instanceof Float32Array
        ? bytesOfTensor(array)
        : new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    yield bytes;
    const entry: BundleEntryProto = {
      dtype: type === 'float32' ? DataType.DT_FLOAT : DataType.DT_INT32,
      shape: { dim: shape.map((size) => ({ size, name: '' })), unknownRank: false },
      shardId: 0,
      offset,
      size: bytes.length,
      crc32c: maskCrc32c(crc32c(bytes)),
      slices: [],
    };
    told(name, entry);
    offset += bytes.length;
  }
}

/** What TensorFlow 2 states of the format. */
const header = BundleHeaderProto.encode({
  numShards: 1,
  endianness: BundleHeaderProto_Endianness.LITTLE,
  version: { producer: 1, minConsumer: 0, badConsumers: [] },
}).finish();

/** `PREFIX.index` to the byte as TensorFlow writes it. */
export function bundleIndex(entries: ReadonlyMap<string, BundleEntryProto>): Buffer {
  const rows: TableEntry[] = [{ key: Buffer.alloc(0), value: Buffer.from(header) }];
  for (const [name, entry] of entries)
    rows.push({ key: Buffer.from(name), value: Buffer.from(BundleEntryProto.encode(entry).finish()) });
  return tableBytes(rows.sort((a, b) => Buffer.compare(a.key, b.key)));
}

/**
 * Writes a V2 checkpoint of one data file, synced.
 * @returns the bytes of its data
 * @throws the system's error, such as EEXIST
 */
export function writeBundle(prefix: string, tensors: readonly TensorToWrite[]): number {
  const entries = new Map<string, BundleEntryProto>();
  const bytes = writeNew(
    dataFileOf(prefix, 0, 1),
    bundleData(tensors, (name, entry) => entries.set(name, entry)),
  );
  writeNew(`${prefix}.index`, [bundleIndex(entries)]);
  return bytes;
}

function writeNew(file: string, pieces: Iterable<Uint8Array>): number {
  let bytes = 0;
  const fd = openSync(file, 'wx');
  try {
    for (const piece of pieces) {
      writeWhole(fd, piece);
      bytes += piece.length;
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return bytes;
}

import { SavedTensorSlices } from '@showtell/shared/generated/tensorflow/saved_tensor_slice.js';
import type { DataType, TensorProto } from '@showtell/shared/generated/tensorflow/types.js';
import { sizeOf } from '@showtell/shared/tensors/layout.js';
import type { StoredVariable, VariableSource } from '../variable-source.js';
import { elementType, typeName } from './element-types.js';
import { FileBytes } from './file-bytes.js';
import { checkCover, placeSlice, readShape, readSlice, type Slice } from './slice.js';
import { largestRatio } from './snappy.js';
import { sliceKey } from './slice-key.js';
import { TableReader } from './table-reader.js';

/** A file of the checkpoint. */
interface Shard {
  readonly file: FileBytes;
  readonly table: TableReader;
}

/** A variable as the files tell of it together. */
interface Saved {
  readonly type: DataType;
  readonly shape: readonly number[];
  readonly slices: { readonly slice: Slice; readonly shard: Shard }[];
}

/**
 * Opens a V1 checkpoint, as TF-Slim published its nets: a table of records, packed by Snappy where that helps. The
 * record under the empty key tells names, types, shapes and slices; each slice's values are a record of their own, read
 * when the variable is.
 * @param files the file, or all shards
 * @throws ShowtellError `file/missing`, `tensorflow/malformed`
 */
export function openV1(files: readonly string[], path: string): VariableSource {
  const variables = new Map<string, Saved>();
  for (const name of files) {
    const file = new FileBytes(name);
    const shard = { file, table: new TableReader(file) };
    const meta = file.parse(() => {
      const record = shard.table.get(Buffer.alloc(0));
      return record === null ? undefined : SavedTensorSlices.decode(record).meta;
    });
    if (meta === undefined)
      throw file.malformed('it is a table, but has no list of tensors (an .index file is named by its whole name)');
    for (const { name: variable, shape: dimensions, type, slice: slices } of meta.tensor)
      file.parse(() => {
        const shape = readShape(dimensions);
        const saved: Saved = variables.get(variable) ?? { type, shape, slices: [] };
        if (saved.type !== type || saved.shape.join() !== shape.join())
          throw new RangeError(`${variable} has another type or shape here than in another shard`);
        saved.slices.push(...slices.map((slice) => ({ slice: readSlice(slice, shape), shard })));
        variables.set(variable, saved);
      });
  }
  const [first] = files;
  if (first !== undefined) for (const [name, saved] of variables) checkSize(name, saved, new FileBytes(first));
  return {
    format: 'TensorFlow V1 checkpoint',
    path,
    variables: [...variables].map(([name, saved]) => variableOf(name, saved)),
  };
}

/** Refuses what the files cannot hold, before whoever reads the variable takes memory for its shape. */
function checkSize(name: string, { type, shape, slices }: Saved, file: FileBytes): void {
  const files = new Set(slices.map(({ shard }) => shard.file));
  const packed = [...files].reduce((sum, { size }) => sum + size, 0);
  // A value takes a byte at least: integers and halves may stand as varints.
  if (elementType(type) !== null && sizeOf(shape) > packed * largestRatio)
    throw file.malformed(`${name} has ${sizeOf(shape)} values, more than its files can hold`);
}

function variableOf(name: string, saved: Saved): StoredVariable {
  const { type, shape, slices } = saved;
  const numeric = elementType(type) !== null;
  return { name, shape, type: typeName(type), numeric, slices: slices.length, read: (into) => read(name, saved, into) };
}

function read(name: string, { type, shape, slices }: Saved, into: Float32Array): void {
  if (into.length !== sizeOf(shape)) throw new RangeError(`${name} has ${sizeOf(shape)} values, not ${into.length}`);
  const [first] = slices;
  first?.shard.file.parse(() =>
    checkCover(
      slices.map(({ slice }) => slice),
      shape,
    ),
  );
  for (const { slice, shard } of slices) {
    const record = shard.table.get(sliceKey(name, slice.stated));
    if (record === null) throw shard.file.malformed(`the values of ${name} are missing`);
    shard.file.parse(() => {
      const { data } = SavedTensorSlices.decode(record);
      const values = valuesOf(name, type, data?.data, sizeOf(slice.lengths));
      placeSlice(values, slice, shape, into);
    });
  }
}

/** @throws RangeError when there are not as many values as the slice has */
function valuesOf(name: string, type: DataType, tensor: TensorProto | undefined, count: number): Float32Array {
  const element = elementType(type);
  if (tensor === undefined || element === null) throw new RangeError(`${name} is ${typeName(type)}, not numbers`);
  const { tensorContent } = tensor;
  if (tensorContent.length > 0) {
    if (tensorContent.length !== count * element.bytes)
      throw new RangeError(`${name} has ${tensorContent.length} bytes instead of ${count * element.bytes}`);
    const values = new Float32Array(count);
    element.convert(Uint8Array.from(tensorContent).buffer, values);
    return values;
  }
  const unpacked = element.unpack(tensor);
  if (unpacked.length !== count) throw new RangeError(`${name} has ${unpacked.length} values instead of ${count}`);
  return Float32Array.from(unpacked);
}

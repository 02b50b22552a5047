import { DataType, type TensorProto } from '@showtell/shared/generated/tensorflow/types.js';
import { fromBfloat16 } from '@showtell/shared/tensors/bfloat16.js';

/** A type whose values become float32. */
interface ElementType {
  readonly name: string;
  readonly bytes: number;
  /** Raw little-endian values to float32, rounded to the nearest where they are wider. */
  readonly convert: (raw: ArrayBuffer, into: Float32Array) => void;
  /** A tensor message's values, in which the shorter floats are bits. */
  readonly unpack: (tensor: TensorProto) => ArrayLike<number>;
}

const same = (values: ArrayLike<number>, into: Float32Array): void => into.set(values);
const half = (bits: ArrayLike<number>): Float32Array => Float32Array.from(bits, fromHalf);
const brain = (bits: Uint16Array): Float32Array => {
  const values = new Float32Array(bits.length);
  fromBfloat16(bits, values);
  return values;
};
const integer = (name: string, bytes: number, view: new (raw: ArrayBuffer) => ArrayLike<number>): ElementType => ({
  name,
  bytes,
  convert: (raw, into) => same(new view(raw), into),
  unpack: ({ intVal }) => intVal,
});

const types: Partial<Record<DataType, ElementType>> = {
  [DataType.DT_FLOAT]: {
    name: 'float32',
    bytes: 4,
    convert: (raw, into) => same(new Float32Array(raw), into),
    unpack: ({ floatVal }) => floatVal,
  },
  [DataType.DT_DOUBLE]: {
    name: 'float64',
    bytes: 8,
    convert: (raw, into) => same(new Float64Array(raw), into),
    unpack: ({ doubleVal }) => doubleVal,
  },
  [DataType.DT_HALF]: {
    name: 'float16',
    bytes: 2,
    convert: (raw, into) => same(half(new Uint16Array(raw)), into),
    unpack: ({ halfVal }) => half(halfVal),
  },
  [DataType.DT_BFLOAT16]: {
    name: 'bfloat16',
    bytes: 2,
    convert: (raw, into) => same(brain(new Uint16Array(raw)), into),
    unpack: ({ halfVal }) => brain(Uint16Array.from(halfVal)),
  },
  [DataType.DT_INT32]: integer('int32', 4, Int32Array),
  [DataType.DT_INT16]: integer('int16', 2, Int16Array),
  [DataType.DT_INT8]: integer('int8', 1, Int8Array),
  [DataType.DT_UINT8]: integer('uint8', 1, Uint8Array),
  [DataType.DT_INT64]: {
    name: 'int64',
    bytes: 8,
    convert: (raw, into) => same(Array.from(new BigInt64Array(raw), Number), into),
    unpack: ({ int64Val }) => int64Val,
  },
};

/** @returns null of a type that is no number here, such as text */
export function elementType(type: DataType): ElementType | null {
  return types[type] ?? null;
}

/** NumPy's name where there is one, else TensorFlow's. */
export function typeName(type: DataType): string {
  // A file may state a number that is no type.
  const name = (DataType as Partial<Record<number, string>>)[type];
  return types[type]?.name ?? name?.replace(/^DT_/, '').toLowerCase() ?? `type ${type}`;
}

/** A float16's bits as a number, exactly. */
function fromHalf(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  // A subnormal counts in 2⁻²⁴; powers of two by shifts and a quotient, which are exact.
  if (exponent === 0) return (sign * fraction) / 16_777_216;
  return (sign * (1024 + fraction) * (1 << exponent)) / 33_554_432;
}

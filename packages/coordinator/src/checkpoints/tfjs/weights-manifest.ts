import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { z } from 'zod';

const dtypes = ['float32', 'float16', 'int32', 'uint8', 'uint16', 'bool', 'string', 'complex64'] as const;

const weightSchema = z.object({
  name: z.string(),
  shape: z.array(z.int().min(0)),
  dtype: z.enum(dtypes),
  quantization: z
    .object({ dtype: z.enum(['uint8', 'uint16', 'float16']), min: z.number().optional(), scale: z.number().optional() })
    .optional(),
});
type Weight = z.infer<typeof weightSchema>;

/** A model.json's `weightsManifest`: groups of weights, each laid one after the other over the group's files. */
export const manifestSchema = z.array(z.object({ paths: z.array(z.string()), weights: z.array(weightSchema) }));

/** A weight that lies in a model's files. */
export interface StoredWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** As it is stored: `uint8`, `float16`, … */
  readonly type: string;
  /** Its values as float32, dequantised. @throws ShowtellError `tfjs/malformed` */
  read(into: Float32Array): void;
}

/** Bytes an element takes in the file. */
const width: Readonly<Record<string, number>> = {
  float32: 4,
  int32: 4,
  complex64: 8,
  float16: 2,
  uint16: 2,
  uint8: 1,
  bool: 1,
};

/**
 * The weights of a model.json, by name. Sizes are held against the files at once; values are read when asked for.
 * @throws ShowtellError `tfjs/malformed`, `file/missing`
 */
export function readManifest(modelFile: string, content: unknown): Map<string, StoredWeight> {
  const refuse = (detail: string): ShowtellError => new ShowtellError('tfjs/malformed', { file: modelFile, detail });
  const parsed = manifestSchema.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refuse(`weightsManifest${issue === undefined ? '' : `.${issue.path.join('.')}: ${issue.message}`}`);
  }
  const weights = new Map<string, StoredWeight>();
  for (const group of parsed.data) {
    const files = group.paths.map((path) => shardOf(modelFile, path));
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    let offset = 0;
    for (const weight of group.weights) {
      const type = weight.quantization?.dtype ?? weight.dtype;
      const size = width[type];
      if (size === undefined) throw refuse(`${weight.name} is of type ${type}, whose length is not told`);
      const bytes = weight.shape.reduce((product, side) => product * side, 1) * size;
      const at = offset;
      if (weights.has(weight.name)) throw refuse(`${weight.name} stands in it twice`);
      weights.set(weight.name, {
        name: weight.name,
        shape: weight.shape,
        type,
        read: (into) => decode(weight, readAcross(files, at, bytes, modelFile), into, refuse),
      });
      offset += bytes;
    }
    if (offset !== total)
      throw refuse(
        `its weights take ${offset} bytes, ${group.paths.join(', ')} ${files.length === 1 ? 'has' : 'have'} ${total}`,
      );
  }
  return weights;
}

interface Shard {
  readonly file: string;
  readonly bytes: number;
}

/** A file beside the model.json, or below it: a model names no other files of this machine. */
function shardOf(modelFile: string, path: string): Shard {
  const within = normalize(path);
  if (isAbsolute(within) || within.startsWith('..') || /^[a-z]+:/i.test(path)) {
    const detail = `it names the weights file ${path}, which is not in its folder`;
    throw new ShowtellError('tfjs/malformed', { file: modelFile, detail });
  }
  const file = join(dirname(modelFile), within);
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) throw new ShowtellError('file/missing', { file, what: `A weights file of ${modelFile},` });
  return { file, bytes: stats.size };
}

/** Bytes of a group, as if its files were one. */
function readAcross(files: readonly Shard[], from: number, length: number, modelFile: string): Uint8Array {
  const bytes = new Uint8Array(length);
  let start = 0;
  for (const { file, bytes: size } of files) {
    const [begin, end] = [Math.max(from, start), Math.min(from + length, start + size)];
    if (begin < end) {
      const descriptor = openSync(file, 'r');
      try {
        const read = readSync(descriptor, bytes, begin - from, end - begin, begin - start);
        if (read !== end - begin)
          throw new ShowtellError('tfjs/malformed', { file: modelFile, detail: `${file} ends too soon` });
      } finally {
        closeSync(descriptor);
      }
    }
    start += size;
  }
  return bytes;
}

/** As tfjs dequantises: q · scale + min, rounded to float32 once. */
function decode(
  { name, dtype, quantization }: Weight,
  bytes: Uint8Array,
  into: Float32Array,
  refuse: (detail: string) => ShowtellError,
): void {
  if (into.length > bytes.length / (width[quantization?.dtype ?? dtype] ?? 1))
    throw refuse(`${name} has fewer values than are due`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = quantization?.dtype ?? dtype;
  const { min = 0, scale = 1 } = quantization ?? {};
  if (dtype !== 'float32' && dtype !== 'float16') throw refuse(`${name} is ${dtype}, no floating-point weight`);
  for (let i = 0; i < into.length; i++) {
    switch (type) {
      case 'float32':
        into[i] = view.getFloat32(4 * i, true);
        break;
      case 'float16':
        into[i] = halfToFloat(view.getUint16(2 * i, true));
        break;
      case 'uint16':
        into[i] = view.getUint16(2 * i, true) * scale + min;
        break;
      case 'uint8':
        into[i] = (bytes[i] as number) * scale + min;
        break;
      default:
        throw refuse(`${name} is stored as ${type}`);
    }
  }
}

/** IEEE half precision: 1 sign, 5 exponent, 10 fraction bits; exact in float32. */
function halfToFloat(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return (sign * fraction) / 2 ** 24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

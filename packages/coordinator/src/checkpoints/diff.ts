import { readTensor, type SafetensorsFile } from '@showtell/shared/tensors/safetensors.js';

export interface TensorDifference {
  readonly name: string;
  readonly shapes: readonly [readonly number[], readonly number[]];
  /** Whether all bits agree. */
  readonly identical: boolean;
  /** Largest absolute difference; null when the shapes differ or a value is not finite. */
  readonly maxAbsolute: number | null;
  /** That difference as a share of the first tensor's largest absolute value. */
  readonly maxRelative: number | null;
}

export interface CheckpointDifference {
  /** In the first alone. */
  readonly missing: readonly string[];
  /** In the second alone. */
  readonly added: readonly string[];
  /** Of both, in the first's order. */
  readonly tensors: readonly TensorDifference[];
}

/** Compares the tensors of two files by name, one tensor in memory at a time. */
export function diffTensors(a: SafetensorsFile, b: SafetensorsFile): CheckpointDifference {
  const inB = new Map(b.entries.map((entry) => [entry.name, entry]));
  const inA = new Set(a.entries.map(({ name }) => name));
  const tensors: TensorDifference[] = [];
  for (const entry of a.entries) {
    const other = inB.get(entry.name);
    if (other === undefined) continue;
    const shapes = [entry.shape, other.shape] as const;
    const compared =
      entry.shape.join() === other.shape.join()
        ? compare(readTensor(a, entry), readTensor(b, other))
        : { identical: false, maxAbsolute: null, maxRelative: null };
    tensors.push({ name: entry.name, shapes, ...compared });
  }
  return {
    missing: a.entries.flatMap(({ name }) => (inB.has(name) ? [] : [name])),
    added: b.entries.flatMap(({ name }) => (inA.has(name) ? [] : [name])),
    tensors,
  };
}

function compare(
  x: Float32Array,
  y: Float32Array,
): Pick<TensorDifference, 'identical' | 'maxAbsolute' | 'maxRelative'> {
  const bytes = (values: Float32Array): Buffer => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  if (bytes(x).equals(bytes(y))) return { identical: true, maxAbsolute: 0, maxRelative: 0 };
  let maxAbsolute = 0;
  let largest = 0;
  for (let i = 0; i < x.length; i++) {
    const difference = Math.abs((x[i] as number) - (y[i] as number));
    if (!Number.isFinite(difference)) return { identical: false, maxAbsolute: null, maxRelative: null };
    maxAbsolute = Math.max(maxAbsolute, difference);
    largest = Math.max(largest, Math.abs(x[i] as number));
  }
  return { identical: false, maxAbsolute, maxRelative: largest === 0 ? null : maxAbsolute / largest };
}

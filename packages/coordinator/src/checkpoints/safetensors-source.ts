import { readSafetensorsHeader, readTensor } from '@showtell/shared/tensors/safetensors.js';
import type { VariableSource } from './variable-source.js';

const names: Readonly<Record<string, string>> = { F32: 'float32', BF16: 'bfloat16', F16: 'float16', F64: 'float64' };

/** @throws ShowtellError `tensors/malformed` */
export function safetensorsSource(file: string, path: string): VariableSource {
  const content = readSafetensorsHeader(file);
  const variables = content.entries.map((entry) => ({
    name: entry.name,
    shape: entry.shape,
    type: names[entry.dtype] ?? entry.dtype.toLowerCase(),
    numeric: entry.dtype === 'F32' || entry.dtype === 'BF16',
    slices: 1,
    read: (into: Float32Array): void => void readTensor(content, entry, into),
  }));
  return { format: 'safetensors', path, variables };
}

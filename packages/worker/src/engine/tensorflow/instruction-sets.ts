import { readFileSync } from 'node:fs';
import { arch } from 'node:os';

/** Instruction sets by which TensorFlow and oneDNN choose their kernels, as Linux names them. */
const deciding = [
  'avx2', 'fma', 'avx_ne_convert', 'avx512f', 'avx512bw', 'avx512_vnni', 'avx_vnni', 'avx512_bf16', 'avx512_fp16', 'amx_tile', 'amx_bf16',
  'amx_int8', 'asimd', 'asimddp', 'bf16', 'i8mm', 'sve',
] as const; // prettier-ignore

/** Those of this machine, preceded by its architecture; the architecture alone where the system doesn't tell. */
export function instructionSets(): string[] {
  const flags = processorFlags();
  return [arch(), ...deciding.filter((name) => flags.has(name))];
}

/**
 * Whether oneDNN has convolutions and products in bfloat16 for a processor: on x64 it asks for AVX-512 (where
 * AVX512-BF16 is absent it is slower than float32) or for AVX-NE-CONVERT. Without it a step fails, or takes minutes.
 */
export function canBfloat16(sets: readonly string[]): boolean {
  return sets[0] !== 'x64' || sets.includes('avx512bw') || sets.includes('avx_ne_convert');
}

function processorFlags(): ReadonlySet<string> {
  try {
    const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
    return new Set(line.trim().split(/\s+/));
  } catch {
    return new Set();
  }
}

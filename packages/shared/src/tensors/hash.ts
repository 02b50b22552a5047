import { createHash } from 'node:crypto';
import { byName } from './layout.js';

/** A named float32 tensor. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** The tensors in order of the UTF-16 code units of their names. */
export function inNameOrder<T extends { readonly name: string }>(tensors: readonly T[]): T[] {
  return [...tensors].sort(byName);
}

export function bytesOfTensor(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/**
 * SHA-256 over tensors in name order: of each its raw little-endian float32 bytes and nothing else, neither name nor
 * shape nor gap. As showtell's safetensors files hold tensors in the same order without gaps, it is also the SHA-256 of
 * what follows such a file's header.
 */
export function hashTensors(tensors: readonly NamedTensor[]): string {
  const hash = createHash('sha256');
  for (const { values } of inNameOrder(tensors)) hash.update(bytesOfTensor(values));
  return hash.digest('hex');
}

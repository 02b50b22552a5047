import { permutation, random } from '../random.js';

/**
 * The order in which an epoch visits a split's records: a function of (seed, epoch) alone.
 *
 * @returns positions 0 to `count` − 1, each once.
 */
export function epochOrder(seed: number, epoch: number, count: number): Uint32Array {
  return permutation(count, random(seed, 'epoch', epoch));
}

/** The values that generate.py computes too: functions of a name and an index, so that no weights need be stored. */

/** In [0, 1): `unit(name, …)` of generate.py. */
export function unit(name: string, size: number): Float64Array {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return Float64Array.from({ length: size }, (_, i) => {
    let x = (Math.imul(i, 0x9e3779b9) + hash) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x ^= x >>> 16;
    return (x >>> 8) / 2 ** 24;
  });
}

export function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** `parameter(name, shape)` of generate.py. */
export function parameter(name: string, shape: readonly number[]): Float32Array {
  const u = unit(name, product(shape));
  if (name.endsWith('moving_variance')) return Float32Array.from(u, (x) => 0.5 + x);
  const convolution = name.startsWith('Inception') && name.endsWith('weights');
  const scale = convolution ? Math.sqrt(6 / product(shape.slice(0, -1))) : 0.2;
  return Float32Array.from(u, (x) => (2 * x - 1) * scale);
}

/** `mask(name, keep, …)` of generate.py: 0 or 1 ÷ keep. */
export function mask(name: string, keep: number, size: number): Float32Array {
  return Float32Array.from(unit(name, size), (x) => (x < keep ? 1 / keep : 0));
}

/** `probe(name, …)` of generate.py: a norm, and a product with a direction of the name. */
export function probe(name: string, values: ArrayLike<number>): readonly [norm: number, along: number] {
  const direction = unit(`${name} direction`, values.length);
  let squares = 0;
  let along = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    squares += value * value;
    along += value * (2 * direction[i]! - 1);
  }
  return [Math.sqrt(squares), along];
}

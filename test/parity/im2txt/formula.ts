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

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** `parameter(name, shape)` of generate.py. */
export function parameter(name: string, shape: readonly number[]): Float32Array {
  const u = unit(name, product(shape));
  if (name.endsWith('moving_variance')) return Float32Array.from(u, (x) => 0.5 + x);
  const scale = scaleOf(name, shape);
  // <S> is not said again, and captions do not end at once.
  const shift = (i: number): number => (name === 'logits/biases' && i < 3 ? -1.3 : 0);
  return Float32Array.from(u, (x, i) => (2 * x - 1) * scale + shift(i));
}

/** Wide enough that some words are much likelier than others. */
function scaleOf(name: string, shape: readonly number[]): number {
  if (name.startsWith('InceptionV3'))
    return name.endsWith('/weights') ? Math.sqrt(6 / product(shape.slice(0, -1))) : 0.2;
  return name === 'logits/weights' ? 2 : 0.5;
}

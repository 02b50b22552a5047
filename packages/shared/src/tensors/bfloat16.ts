/**
 * float32 ↔ bfloat16. A bfloat16 is the upper half of a float32, so widening is exact; narrowing rounds to the nearest,
 * ties to the even one, as TensorFlow's and the processor's instructions do. Subnormals are kept, NaN stays NaN.
 */

/** Narrows `from` into `into`, which holds bfloat16 bits. */
export function toBfloat16(from: Float32Array, into: Uint16Array): void {
  if (into.length < from.length) throw new RangeError(`${from.length} values do not fit into ${into.length}`);
  const bits = new Uint32Array(from.buffer, from.byteOffset, from.length);
  for (let i = 0; i < bits.length; i++) {
    const u = bits[i] as number;
    into[i] = (u & 0x7fff_ffff) > 0x7f80_0000 ? (u >>> 16) | 0x40 : (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
  }
}

/** Widens bfloat16 bits; `from` and `into` must not overlap. */
export function fromBfloat16(from: Uint16Array, into: Float32Array): void {
  if (into.length < from.length) throw new RangeError(`${from.length} values do not fit into ${into.length}`);
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0; i < from.length; i++) bits[i] = (from[i] as number) << 16;
}

/** The float32 that remains of each value after a journey as bfloat16. */
export function roundToBfloat16(values: Float32Array): Float32Array {
  const narrow = new Uint16Array(values.length);
  const rounded = new Float32Array(values.length);
  toBfloat16(values, narrow);
  fromBfloat16(narrow, rounded);
  return rounded;
}

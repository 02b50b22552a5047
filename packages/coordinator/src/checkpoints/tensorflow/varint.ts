/** A number and where what follows it begins. */
export interface Varint {
  readonly value: number;
  readonly next: number;
}

/**
 * Reads a number of 7 bits a byte, low ones first.
 * @throws RangeError when the bytes end within it, or it is beyond 2⁵³
 */
export function readVarint(bytes: Uint8Array, at: number): Varint {
  let value = 0;
  let factor = 1;
  for (let next = at; next < bytes.length && next < at + 10; factor *= 128) {
    const byte = bytes[next++] as number;
    value += (byte & 0x7f) * factor;
    if (byte >= 0x80) continue;
    if (!Number.isSafeInteger(value)) break;
    return { value, next };
  }
  throw new RangeError(`no number stands at byte ${at}`);
}

export function appendVarint(value: number, into: number[]): void {
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) into.push((rest % 0x80) | 0x80);
  into.push(rest);
}

import type { Slice } from './slice.js';

/**
 * The key under which a table holds a slice: a zero, the tensor's name, the number of dimensions, and start and length
 * of each (−1 for a whole one), in an encoding whose bytes sort as the values do (TensorFlow's OrderedCode).
 */
export function sliceKey(name: string, stated: Slice['stated']): Buffer {
  const bytes: number[] = [];
  appendNatural(0, bytes);
  appendText(name, bytes);
  appendNatural(stated.length, bytes);
  for (const { start, length } of stated) {
    appendInteger(start, bytes);
    appendInteger(length, bytes);
  }
  return Buffer.from(bytes);
}

/** How many bytes, then those bytes, high ones first. */
function appendNatural(value: number, into: number[]): void {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  into.push(bytes.length, ...bytes);
}

/** 0 and 255 are followed by a byte that is the other; 0, 1 ends it. */
function appendText(text: string, into: number[]): void {
  for (const byte of Buffer.from(text)) {
    into.push(byte);
    if (byte === 0) into.push(0xff);
    if (byte === 0xff) into.push(0);
  }
  into.push(0, 1);
}

/** Bits that tell the length and the sign: as many ones as bytes, over the number's high bits. */
const headers = [0, 0x8000, 0xc000, 0xe000, 0xf000, 0xf800, 0xfc00, 0xfe00, 0xff00];

/** Two's complement in as few bytes as leave 7 bits each; the length stands in the first bits. */
function appendInteger(value: number, into: number[]): void {
  const big = BigInt(value);
  const bits = (big < 0n ? ~big : big).toString(2).length;
  const length = value === 0 || value === -1 ? 1 : Math.floor(bits / 7) + 1;
  const bytes: number[] = [];
  for (let i = length - 1; i >= 0; i--) bytes.push(Number((big >> BigInt(8 * i)) & 0xffn));
  const header = headers[length] as number;
  bytes[0] = (bytes[0] as number) ^ (header >>> 8);
  if (length > 1) bytes[1] = (bytes[1] as number) ^ (header & 0xff);
  into.push(...bytes);
}

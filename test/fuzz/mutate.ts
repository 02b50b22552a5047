import type { Random } from '@showtell/shared/random.js';

/** Numbers that break sums: ends of ranges, and lengths that nothing has. */
const edges = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** An input changed in one to four places, also by pieces of others; the same stream makes the same changes. */
export function mutate(input: Buffer, others: readonly Buffer[], draw: Random): Buffer {
  let bytes = input;
  for (let left = 1 + below(draw, 4); left > 0; left--) bytes = mutateOnce(bytes, others, draw);
  return bytes;
}

function mutateOnce(bytes: Buffer, others: readonly Buffer[], draw: Random): Buffer {
  const at = below(draw, bytes.length + 1);
  const length = below(draw, Math.min(64, bytes.length - at) + 1);
  const around = (middle: Buffer, behind = at + length): Buffer =>
    Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(behind)]);
  switch (below(draw, 8)) {
    case 0:
      return around(Buffer.of(below(draw, 256)), at + 1);
    case 1:
      return around(Buffer.of((bytes[at] ?? 0) ^ (1 << below(draw, 8))), at + 1);
    case 2: {
      const number = Buffer.alloc(8);
      number.writeBigUInt64LE(edges[below(draw, edges.length)]!);
      const width = 1 << below(draw, 4);
      return around(number.subarray(0, width), at + width);
    }
    case 3:
      return around(varint(edges[below(draw, edges.length)]!), at + 1);
    case 4:
      return around(Buffer.alloc(0));
    case 5:
      return around(Buffer.concat([bytes.subarray(at, at + length), bytes.subarray(at, at + length)]));
    case 6:
      return Buffer.from(bytes.subarray(0, at));
    default: {
      const other = others[below(draw, others.length)] ?? bytes;
      const from = below(draw, other.length + 1);
      return around(other.subarray(from, from + below(draw, 64)));
    }
  }
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.of(...bytes, Number(rest));
}

const below = (draw: Random, end: number): number => draw.integer(end);

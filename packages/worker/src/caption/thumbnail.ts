import type { Picture } from '../input/picture.js';

/** A picture made small enough for a square of `side` pixels, each the mean of those it stands for; never enlarged. */
export function shrink(picture: Picture, side: number): Picture {
  const { width, height, rgb } = picture;
  const scale = Math.min(1, side / Math.max(width, height));
  const [wide, high] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (wide === width && high === height) return picture;
  const small = new Uint8Array(wide * high * 3);
  for (let y = 0, to = 0; y < high; y++) {
    const [top, bottom] = span(y, high, height);
    for (let x = 0; x < wide; x++, to += 3) {
      const [left, right] = span(x, wide, width);
      const sums = [0, 0, 0] as [number, number, number];
      for (let row = top; row < bottom; row++)
        for (let at = (row * width + left) * 3, end = (row * width + right) * 3; at < end; at += 3) {
          sums[0] += rgb[at] as number;
          sums[1] += rgb[at + 1] as number;
          sums[2] += rgb[at + 2] as number;
        }
      const pixels = (bottom - top) * (right - left);
      small.set(
        sums.map((sum) => Math.round(sum / pixels)),
        to,
      );
    }
  }
  return { width: wide, height: high, rgb: small };
}

/** The source pixels that one of `count` stands for. */
function span(i: number, count: number, size: number): [number, number] {
  const from = Math.floor((i * size) / count);
  return [from, Math.max(from + 1, Math.floor(((i + 1) * size) / count))];
}

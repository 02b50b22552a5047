import type { Picture } from './picture.js';

/** A square of the resized picture, in its pixels, and whether it is mirrored left to right. */
export interface Crop {
  readonly top: number;
  readonly left: number;
  readonly side: number;
  readonly mirror: boolean;
}

/** Bytes 0 to 255 as TensorFlow's convert_image_dtype has them in float32: times the float32 nearest to 1/255. */
const unit = Float32Array.from({ length: 256 }, (_, value) => value * Math.fround(1 / 255));

/**
 * Resizes a picture to `resized` × `resized` whatever its aspect, as TensorFlow 1's `resize_bilinear` does
 * (source = i · size ÷ resized, no half-pixel centres, no antialiasing), and writes a square of it; only that square is
 * computed. The steps are rounded to float32 one by one as TensorFlow's are, so that the values are its own.
 *
 * @param into `[side, side, 3]`, from `at` on
 * @param range the values' range: 0 to 1, or −1 to 1 as the encoders want them
 */
export function resizeCrop(
  picture: Picture,
  resized: number,
  crop: Crop,
  into: Float32Array,
  at = 0,
  range: 'unit' | 'centred' = 'unit',
): void {
  const { width, height, rgb } = picture;
  const { side } = crop;
  const across = taps(width, resized, crop.left, side);
  const down = taps(height, resized, crop.top, side);

  const blendRow = range === 'unit' ? blend : blendCentred;

  let upper: Row = { source: -1, values: new Float32Array(side * 3) };
  let lower: Row = { source: -1, values: new Float32Array(side * 3) };
  for (let y = 0; y < side; y++) {
    const y0 = down.first[y] as number;
    const y1 = down.second[y] as number;
    const row = at + y * side * 3;
    // The lower source row of one output row is often the upper one of the next.
    if (upper.source !== y0 && lower.source === y0) [upper, lower] = [lower, upper];
    fillRow(upper, y0, rgb, width, across);
    if (y1 === y0) {
      lower.source = -1;
      blendRow(upper.values, upper.values, 0, into, row);
    } else {
      fillRow(lower, y1, rgb, width, across);
      blendRow(upper.values, lower.values, down.share[y] as number, into, row);
    }
    if (crop.mirror) reverse(into, row, side * 3);
  }
}

/** Where each output position of one axis reads: two source positions and the second one's share. */
interface Taps {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly share: Float32Array;
}

function taps(size: number, resized: number, start: number, count: number): Taps {
  const scale = Math.fround(size / resized);
  const result = { first: new Int32Array(count), second: new Int32Array(count), share: new Float32Array(count) };
  for (let i = 0; i < count; i++) {
    const source = Math.fround((start + i) * scale);
    const floor = Math.floor(source);
    result.first[i] = floor;
    result.second[i] = Math.min(Math.ceil(source), size - 1);
    result.share[i] = source - floor;
  }
  return result;
}

/** One source row interpolated along x. */
interface Row {
  source: number;
  readonly values: Float32Array;
}

function fillRow(row: Row, source: number, rgb: Uint8Array, width: number, across: Taps): void {
  if (row.source === source) return;
  row.source = source;
  const { first, second, share } = across;
  const { values } = row;
  const base = source * width * 3;
  for (let x = 0, o = 0; x < first.length; x++, o += 3) {
    const l = base + (first[x] as number) * 3;
    const r = base + (second[x] as number) * 3;
    const t = share[x] as number;
    // Written out for the three channels: a loop of three takes twice as long.
    const red = unit[rgb[l] as number] as number;
    const green = unit[rgb[l + 1] as number] as number;
    const blue = unit[rgb[l + 2] as number] as number;
    values[o] = red + Math.fround(Math.fround((unit[rgb[r] as number] as number) - red) * t);
    values[o + 1] = green + Math.fround(Math.fround((unit[rgb[r + 1] as number] as number) - green) * t);
    values[o + 2] = blue + Math.fround(Math.fround((unit[rgb[r + 2] as number] as number) - blue) * t);
  }
}

/** One output row between two source rows. */
function blend(upper: Float32Array, lower: Float32Array, share: number, into: Float32Array, at: number): void {
  for (let i = 0; i < upper.length; i++) {
    const top = upper[i] as number;
    into[at + i] = top + Math.fround(Math.fround((lower[i] as number) - top) * share);
  }
}

/** The same, then from 0…1 to −1…1. */
function blendCentred(upper: Float32Array, lower: Float32Array, share: number, into: Float32Array, at: number): void {
  for (let i = 0; i < upper.length; i++) {
    const top = upper[i] as number;
    const value = Math.fround(top + Math.fround(Math.fround((lower[i] as number) - top) * share));
    into[at + i] = Math.fround(value - 0.5) * 2;
  }
}

/** Mirrors one row of pixels left to right. */
function reverse(values: Float32Array, at: number, length: number): void {
  for (let left = at, right = at + length - 3; left < right; left += 3, right -= 3) {
    for (let c = 0; c < 3; c++) {
      const kept = values[left + c] as number;
      values[left + c] = values[right + c] as number;
      values[right + c] = kept;
    }
  }
}

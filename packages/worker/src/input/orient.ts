import type { Picture } from './picture.js';

/**
 * Turns a picture upright by EXIF's orientation: 1 as it is, 2 mirrored, 3 half a turn, 4 upside down mirrored, 5 to 8
 * the same with rows and columns exchanged.
 */
export function orient(picture: Picture, orientation: number): Picture {
  if (orientation === 1) return picture;
  const { width, height, rgb } = picture;
  const isExchanged = orientation >= 5;
  const [wide, high] = isExchanged ? [height, width] : [width, height];
  const flipX = [2, 3, 6, 7].includes(orientation);
  const flipY = [3, 4, 7, 8].includes(orientation);
  const turned = new Uint8Array(rgb.length);
  for (let y = 0, to = 0; y < high; y++) {
    for (let x = 0; x < wide; x++, to += 3) {
      const across = flipX ? wide - 1 - x : x;
      const down = flipY ? high - 1 - y : y;
      const from = 3 * (isExchanged ? across * width + down : down * width + across);
      turned[to] = rgb[from] as number;
      turned[to + 1] = rgb[from + 1] as number;
      turned[to + 2] = rgb[from + 2] as number;
    }
  }
  return { width: wide, height: high, rgb: turned };
}

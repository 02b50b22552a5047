import type { Random } from '@showtell/shared/random.js';
import type { Crop } from './resize.js';

/**
 * im2txt's distortions (image_processing.py's distort_image) with what they draw taken out, so that an image is a
 * function of its picture and its draws.
 */
export interface Distortion {
  readonly crop: Crop;
  /** Contrast after brightness, or last: im2txt chooses by the number of the reading thread, here chance does. */
  readonly contrastEarly: boolean;
  /** Added to every channel. */
  readonly brightness: number;
  /** Factor of the saturation. */
  readonly saturation: number;
  /** Turn of the hue, as a share of the circle. */
  readonly hue: number;
  /** Factor of the distance to the channel's mean. */
  readonly contrast: number;
}

/** Draws a distortion of an example: a crop of `side` from a picture resized to `resized`, and the colours. */
export function drawDistortion(stream: Random, resized: number, side: number): Distortion {
  const room = resized - side + 1;
  return {
    crop: { top: stream.integer(room), left: stream.integer(room), side, mirror: stream.integer(2) === 1 },
    contrastEarly: stream.integer(2) === 1,
    brightness: stream.uniform(-32 / 255, 32 / 255),
    saturation: stream.uniform(0.5, 1.5),
    hue: stream.uniform(-0.032, 0.032),
    contrast: stream.uniform(0.5, 1.5),
  };
}

/** The crop of evaluation and of training without augmentation: the middle, as resize_image_with_crop_or_pad has it. */
export function centralCrop(resized: number, side: number): Crop {
  const margin = Math.floor((resized - side) / 2);
  return { top: margin, left: margin, side, mirror: false };
}

/** Changes the colours of an image in place, `[H, W, 3]` of 0 to 1; the result lies between 0 and 1. */
export function distortColors(image: Float32Array, distortion: Distortion): void {
  adjustBrightness(image, distortion.brightness);
  if (distortion.contrastEarly) adjustContrast(image, distortion.contrast);
  adjustSaturation(image, distortion.saturation);
  adjustHue(image, distortion.hue);
  if (!distortion.contrastEarly) adjustContrast(image, distortion.contrast);
  for (let i = 0; i < image.length; i++) {
    const value = image[i] as number;
    image[i] = value < 0 ? 0 : value > 1 ? 1 : value;
  }
}

/** From 0…1 to −1…1, as the encoders want them. */
export function centre(image: Float32Array): void {
  for (let i = 0; i < image.length; i++) image[i] = Math.fround((image[i] as number) - 0.5) * 2;
}

export function adjustBrightness(image: Float32Array, delta: number): void {
  const d = Math.fround(delta);
  for (let i = 0; i < image.length; i++) image[i] = (image[i] as number) + d;
}

/** Moves every channel away from its mean over the image, or towards it. */
export function adjustContrast(image: Float32Array, factor: number): void {
  const f = Math.fround(factor);
  const pixels = image.length / 3;
  for (let c = 0; c < 3; c++) {
    let sum = 0;
    for (let i = c; i < image.length; i += 3) sum += image[i] as number;
    const mean = Math.fround(sum / pixels);
    for (let i = c; i < image.length; i += 3) image[i] = ((image[i] as number) - mean) * f + mean;
  }
}

/**
 * Scales the saturation of HSV and cuts it at 1, as TensorFlow's AdjustSaturation. Value and hue stay, so each channel
 * keeps its relative place between the largest and the smallest: no conversion to HSV and back is needed.
 */
export function adjustSaturation(image: Float32Array, factor: number): void {
  const f = Math.fround(factor);
  for (let i = 0; i < image.length; i += 3) {
    const r = image[i] as number;
    const g = image[i + 1] as number;
    const b = image[i + 2] as number;
    const max = r > g ? (r > b ? r : b) : g > b ? g : b;
    const min = r < g ? (r < b ? r : b) : g < b ? g : b;
    const range = max - min;
    if (range <= 0 || max <= 0) {
      // Without a hue or below black TensorFlow's saturation is 0, and grey remains.
      image[i] = image[i + 1] = image[i + 2] = max;
      continue;
    }
    const saturation = (range / max) * f;
    const scale = ((saturation > 1 ? 1 : saturation) * max) / range;
    image[i] = max - (max - r) * scale;
    image[i + 1] = max - (max - g) * scale;
    image[i + 2] = max - (max - b) * scale;
  }
}

/** Turns the hue by a share of the circle, as TensorFlow's AdjustHue: largest and smallest channel values stay. */
export function adjustHue(image: Float32Array, delta: number): void {
  const turn = Math.fround(delta) * 6;
  for (let i = 0; i < image.length; i += 3) {
    const r = image[i] as number;
    const g = image[i + 1] as number;
    const b = image[i + 2] as number;
    const max = r > g ? (r > b ? r : b) : g > b ? g : b;
    const min = r < g ? (r < b ? r : b) : g < b ? g : b;
    const range = max - min;
    if (range <= 0) continue;
    // Sixths of the circle from red, 0 to 6.
    let hue = (max === r ? (g - b) / range : max === g ? (b - r) / range + 2 : (r - g) / range + 4) + turn;
    while (hue < 0) hue += 6;
    while (hue >= 6) hue -= 6;
    const sixth = Math.floor(hue);
    const share = hue - sixth;
    const rising = min + share * range;
    const falling = max - share * range;
    switch (sixth) {
      case 0:
        setPixel(image, i, max, rising, min);
        break;
      case 1:
        setPixel(image, i, falling, max, min);
        break;
      case 2:
        setPixel(image, i, min, max, rising);
        break;
      case 3:
        setPixel(image, i, min, falling, max);
        break;
      case 4:
        setPixel(image, i, rising, min, max);
        break;
      default:
        setPixel(image, i, max, min, falling);
    }
  }
}

function setPixel(image: Float32Array, i: number, r: number, g: number, b: number): void {
  image[i] = r;
  image[i + 1] = g;
  image[i + 2] = b;
}

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';
import { openImageDecoder } from '@showtell/worker/input/decode-image.js';
import * as distort from '@showtell/worker/input/distort.js';
import type { Picture } from '@showtell/worker/input/picture.js';
import { resizeCrop, type Crop } from '@showtell/worker/input/resize.js';

interface Values {
  readonly decoded: Record<string, string>;
  readonly cases: readonly {
    readonly picture: string;
    readonly resized: number;
    readonly crop: Crop;
    readonly colors: readonly (readonly ['brightness' | 'saturation' | 'hue' | 'contrast', number])[];
    readonly values: string;
  }[];
}

const file = (name: string) => new URL(name, import.meta.url);
const { decoded, cases } = JSON.parse(readFileSync(file('image.json'), 'utf8')) as Values;
const sizes: Record<string, readonly [number, number]> = {
  wide: [64, 48],
  tall: [37, 61],
  tiny: [7, 9],
  grey: [30, 20],
};

function picture(name: string): Picture {
  const [width, height] = sizes[name]!;
  return { width, height, rgb: Buffer.from(decoded[name]!, 'base64') };
}

function floats(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0);
}

const adjust = {
  brightness: distort.adjustBrightness,
  contrast: distort.adjustContrast,
  saturation: distort.adjustSaturation,
  hue: distort.adjustHue,
};

const haveEngine = existsSync(engineFolder('cpu').addon);

describe('pictures as TensorFlow has them', () => {
  it.skipIf(!haveEngine).each(Object.keys(decoded))(
    'decodes %s.jpg to the same bytes (needs the engine: showtell engine setup)',
    (name) => {
      const jpeg = readFileSync(file(`picture-${name}.jpg`));
      const { width, height, rgb } = openImageDecoder('cpu').decode(jpeg, name);
      expect([width, height]).toEqual(sizes[name]);
      expect(Buffer.from(rgb).equals(Buffer.from(decoded[name]!, 'base64'))).toBe(true);
    },
  );

  it.each(cases.filter(({ colors }) => colors.length === 0).map((it, i) => [i, it] as const))(
    'resizes and crops to the bit, case %i',
    (_, { picture: name, resized, crop, values }) => {
      const image = new Float32Array(crop.side * crop.side * 3);
      resizeCrop(picture(name), resized, crop, image, 0, 'centred');
      expect(largestDifference(image, floats(values))).toBe(0);
    },
  );

  it.each(cases.filter(({ colors }) => colors.length > 0).map((it, i) => [i, it] as const))(
    'distorts colours within 2e-6 of 2, case %i',
    (_, { picture: name, resized, crop, colors, values }) => {
      const expected = floats(values);
      const steps = new Float32Array(expected.length);
      resizeCrop(picture(name), resized, crop, steps);
      const whole = Float32Array.from(steps);
      for (const [change, by] of colors) adjust[change](steps, by);

      const by = Object.fromEntries(colors) as Record<keyof typeof adjust, number>;
      distort.distortColors(whole, { crop, contrastEarly: colors[1]![0] === 'contrast', ...by });
      for (let i = 0; i < steps.length; i++) steps[i] = Math.min(1, Math.max(0, steps[i]!));
      expect(whole).toEqual(steps);

      distort.centre(whole);
      expect(largestDifference(whole, expected)).toBeLessThan(2e-6);
    },
  );
});

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openImageDecoder, type TensorflowDecoder } from '@showtell/worker/input/decode-image.js';
import { centralCrop, centre, distortColors } from '@showtell/worker/input/distort.js';
import { resizeCrop } from '@showtell/worker/input/resize.js';
import { haveTensorflow } from '../../support/tensorflow.js';
import { here } from './checkpoint.js';
import { unit } from './formula.js';

type Draw = readonly [
  thread: number,
  top: number,
  left: number,
  mirror: boolean,
  brightness: number,
  saturation: number,
  hue: number,
  contrast: number,
];
interface Case {
  readonly picture: string;
  /** null: as evaluation sees it. */
  readonly draw: Draw | null;
  readonly sum: number;
  readonly squares: number;
  readonly samples: string;
}
const { cases } = JSON.parse(readFileSync(here('images.json'), 'utf8')) as { cases: Case[] };
const [resized, side] = [346, 299];
const places = Int32Array.from(unit('samples', 400), (x) => x * side * side * 3);

function floats(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
}

describe.skipIf(!haveTensorflow)(
  "pictures by im2txt's process_image, 346 to 299 (needs the engine: showtell engine setup)",
  () => {
    let decoder: TensorflowDecoder;
    beforeAll(() => {
      decoder = openImageDecoder('cpu');
    });

    it.each(cases.map((given) => [given.picture, given.draw?.join(' ') ?? 'not distorted', given] as const))(
      '%s, %s: within 2e-6 of 2',
      (picture, _, { draw, sum, squares, samples }) => {
        const pixels = decoder.decode(readFileSync(here(picture)), picture);
        const image = new Float32Array(side * side * 3);
        if (draw === null) {
          resizeCrop(pixels, resized, centralCrop(resized, side), image, 0, 'centred');
        } else {
          const [thread, top, left, mirror, brightness, saturation, hue, contrast] = draw;
          const crop = { top, left, side, mirror };
          resizeCrop(pixels, resized, crop, image);
          distortColors(image, { crop, contrastEarly: thread % 2 === 1, brightness, saturation, hue, contrast });
          centre(image);
        }
        const expected = floats(samples);
        const worst = places.reduce((most, place, i) => Math.max(most, Math.abs(image[place]! - expected[i]!)), 0);
        expect(worst).toBeLessThan(draw === null ? 1e-9 : 2e-6);
        // All pixels, not the samples alone: an image apart in some corner would show here.
        const total = (of: (value: number) => number): number => image.reduce((all, value) => all + of(value), 0);
        expect(Math.abs(total((x) => x) - sum) / image.length).toBeLessThan(1e-7);
        expect(Math.abs(total((x) => x * x) - squares) / image.length).toBeLessThan(1e-7);
      },
    );
  },
);

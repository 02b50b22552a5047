import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { setEngineEnvironment } from '@showtell/worker/engine/tensorflow/addon.js';
import { openImageDecoder } from '@showtell/worker/input/decode-image.js';
import { type DecodedPicture, openPictureDecoder, type PictureDecoder } from '@showtell/worker/input/decode-picture.js';
import { shrink } from '@showtell/worker/caption/thumbnail.js';
import { openJpegEncoder } from '@showtell/worker/caption/encode-jpeg.js';
import { claiming, scene } from '../../support/pictures.js';
import { haveTensorflow } from '../../support/tensorflow.js';

const rules = { maxMegapixels: 50, setting: '--max-megapixels', upright: false };

let opened: PictureDecoder | undefined;
function decode(bytes: Uint8Array, over: Partial<typeof rules> = {}): DecodedPicture {
  if (opened === undefined) setEngineEnvironment({ threads: 1 });
  opened ??= openPictureDecoder('cpu');
  return opened(bytes, 'the picture', { ...rules, ...over });
}

/** The pixels as sharp sees them. */
async function pixelsOf(picture: Sharp): Promise<{ width: number; height: number; rgb: Buffer }> {
  const { data, info } = await picture.removeAlpha().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, rgb: data };
}

function plain({ width, height, rgb }: { width: number; height: number; rgb: Uint8Array }) {
  return { width, height, rgb: Buffer.from(rgb) };
}

function greatestDifference(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
}

function meanDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs((a[i] as number) - (b[i] as number));
  return sum / a.length;
}

describe.skipIf(!haveTensorflow)('pictures that people give (skipped without the engine)', () => {
  it('JPEG has the bits that training sees', async () => {
    const jpeg = await scene().jpeg({ quality: 70 }).toBuffer();
    const trained = openImageDecoder('cpu').decode(jpeg, 'a record');
    expect(plain(decode(jpeg))).toEqual(plain(trained));
  });

  it.each([
    ['PNG', (picture: Sharp) => picture.png()],
    ['PNG with a palette', (picture: Sharp) => picture.png({ palette: true, colours: 200 })],
    ['PNG with a palette of four bits', (picture: Sharp) => picture.png({ palette: true, colours: 16 })],
    ['black and white PNG', (picture: Sharp) => picture.greyscale().threshold(128).png({ palette: true, colours: 2 })],
    ['lossless WebP', (picture: Sharp) => picture.webp({ lossless: true })],
    ['GIF', (picture: Sharp) => picture.gif()],
    ['grey PNG', (picture: Sharp) => picture.greyscale().png()],
  ])('%s decodes to the pixels that were written', async (_format, encode) => {
    const bytes = await encode(scene()).toBuffer();
    expect(plain(decode(bytes))).toEqual(await pixelsOf(sharp(bytes)));
  });

  it('16-bit PNG keeps the higher bits', async () => {
    const bytes = await scene().toColourspace('rgb16').png().toBuffer();
    expect(bytes[24]).toBe(16);
    expect(meanDifference(decode(bytes).rgb, (await pixelsOf(scene())).rgb)).toBeLessThan(1);
  });

  it.each([
    ['PNG', (picture: Sharp) => picture.png()],
    ['WebP', (picture: Sharp) => picture.webp({ lossless: true, exact: true })],
    ['palette', (picture: Sharp) => picture.png({ palette: true, colours: 4 })],
  ])('transparent %s stands before white', async (_format, encode) => {
    const bytes = await encode(scene().ensureAlpha(0.25)).toBuffer();
    const on = await pixelsOf(sharp(bytes).flatten({ background: '#fff' }));
    const { rgb } = decode(bytes);
    expect(greatestDifference(on.rgb, rgb)).toBeLessThanOrEqual(1);
    expect(Math.min(...rgb)).toBeGreaterThan(190);
  });

  it('of an animated GIF the first frame is taken', async () => {
    const frames = await sharp(await Promise.all([0, 3].map((i) => scene(i).png().toBuffer())), {
      join: { animated: true },
    })
      .gif()
      .toBuffer();
    expect(plain(decode(frames))).toEqual(await pixelsOf(sharp(frames, { page: 0 })));
  });

  it('BMP decodes', () => {
    const bmp = Buffer.alloc(54 + 16);
    bmp.write('BM', 'latin1');
    bmp.writeUInt32LE(70, 2);
    bmp.writeUInt32LE(54, 10);
    bmp.writeUInt32LE(40, 14);
    bmp.writeInt32LE(2, 18);
    bmp.writeInt32LE(2, 22);
    bmp.writeUInt16LE(1, 26);
    bmp.writeUInt16LE(24, 28);
    // Rows from below, blue first, each padded to four bytes.
    bmp.set([1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0], 54);
    expect(plain(decode(bmp))).toEqual({
      width: 2,
      height: 2,
      rgb: Buffer.from([9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4]),
    });
  });

  it.each([
    ['grey', (picture: Sharp) => picture.greyscale()],
    ['CMYK', (picture: Sharp) => picture.toColourspace('cmyk')],
  ])('%s JPEG becomes RGB of nearly the same colours', async (_kind, change) => {
    const bytes = await change(scene()).jpeg({ quality: 95 }).toBuffer();
    const { rgb } = decode(bytes);
    const expected = await pixelsOf(sharp(bytes).toColourspace('srgb'));
    // CMYK has no one way to RGB: TensorFlow multiplies by black, sharp goes through a colour profile.
    expect(meanDifference(rgb, expected.rgb)).toBeLessThan(_kind === 'CMYK' ? 45 : 2);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('orientation %i is told, and followed when asked', async (orientation) => {
    const bytes = await scene()
      .withMetadata({ orientation })
      .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
      .toBuffer();
    expect(decode(bytes)).toMatchObject({ width: 120, height: 80, orientation });
    const turned = decode(bytes, { upright: true });
    const expected = await pixelsOf(sharp(bytes).autoOrient());
    expect([turned.width, turned.height]).toEqual([expected.width, expected.height]);
    expect(meanDifference(turned.rgb, expected.rgb)).toBeLessThan(3);
  });

  it('a picture of too many pixels is refused by its header, with the limit and how to raise it', async () => {
    const claimed = await claiming(12_000, 9_000);
    expect(() => decode(claimed)).toThrow(
      expect.objectContaining({
        code: 'picture/too-large',
        message: 'the picture has 12000 × 9000 pixels, 108 megapixels; at most 50 are decoded.',
        remedy: expect.stringContaining('--max-megapixels 108') as string,
      }),
    );
    // Raised, it is decoded, and found to have no such data.
    expect(() => decode(claimed, { maxMegapixels: 108 })).toThrow(
      expect.objectContaining({ code: 'input/picture-undecodable' }),
    );
  });

  it.each([
    ['a JPEG', (picture: Sharp) => picture.jpeg()],
    ['a PNG', (picture: Sharp) => picture.png()],
    ['a GIF', (picture: Sharp) => picture.gif()],
    ['a WebP', (picture: Sharp) => picture.webp()],
  ])('%s cut short is no picture', async (_format, encode) => {
    const bytes = await encode(scene()).toBuffer();
    expect(() => decode(bytes.subarray(0, bytes.length * 0.6))).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/undecodable|unknown-format/) as string }),
    );
  });

  it('a thumbnail is the picture, smaller, as a JPEG', async () => {
    const bytes = await scene(0, { width: 900, height: 600 }).png().toBuffer();
    const small = shrink(decode(bytes), 90);
    expect([small.width, small.height]).toEqual([90, 60]);
    const jpeg = openJpegEncoder('cpu', 90)(small);
    const seen = await pixelsOf(sharp(jpeg));
    const expected = await pixelsOf(scene(0, { width: 90, height: 60 }));
    expect(meanDifference(seen.rgb, expected.rgb)).toBeLessThan(4);
    expect(shrink(small, 200)).toBe(small);
  });
});

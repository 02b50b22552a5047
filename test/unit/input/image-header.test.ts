import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { firstFrameOf, readImageHeader } from '@showtell/worker/input/image-header.js';
import { scene } from '../../support/pictures.js';

const size = { width: 120, height: 80 };

describe('a picture’s header', () => {
  it.each([
    ['jpeg', () => scene().jpeg().toBuffer()],
    ['jpeg', () => scene().jpeg({ progressive: true }).toBuffer()],
    ['jpeg', () => scene().toColourspace('cmyk').jpeg().toBuffer()],
    ['png', () => scene().png().toBuffer()],
    ['gif', () => scene().gif().toBuffer()],
    ['webp', () => scene().webp({ quality: 80 }).toBuffer()],
    ['webp', () => scene().webp({ lossless: true }).toBuffer()],
    ['webp', () => scene().ensureAlpha(0.5).webp({ quality: 80 }).toBuffer()],
    [
      'webp',
      () =>
        scene()
          .withExif({ IFD0: { Software: 'x' } })
          .webp()
          .toBuffer(),
    ],
  ])('of %s tells format and size', async (format, make) => {
    expect(readImageHeader(await make())).toMatchObject({ format, ...size, orientation: 1, animated: false });
  });

  it('tells a BMP’s, whichever way its rows go and of either header', () => {
    const bmp = Buffer.alloc(54);
    bmp.write('BM', 'latin1');
    bmp.writeUInt32LE(40, 14);
    bmp.writeInt32LE(120, 18);
    bmp.writeInt32LE(-80, 22);
    expect(readImageHeader(bmp)).toMatchObject({ format: 'bmp', ...size });
    bmp.writeUInt32LE(12, 14);
    bmp.writeUInt16LE(7, 18);
    bmp.writeUInt16LE(9, 20);
    expect(readImageHeader(bmp)).toMatchObject({ format: 'bmp', width: 7, height: 9 });
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('reads EXIF orientation %i', async (orientation) => {
    const jpeg = await scene().withMetadata({ orientation }).jpeg().toBuffer();
    expect(readImageHeader(jpeg)).toMatchObject({ format: 'jpeg', ...size, orientation });
  });

  it('takes a damaged EXIF segment for none', async () => {
    const jpeg = await scene().withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const exif = jpeg.indexOf('Exif\0\0');
    jpeg.writeUInt32BE(0x7fffffff, exif + 10);
    jpeg.writeUInt32LE(0x7fffffff, exif + 10);
    expect(readImageHeader(jpeg)).toMatchObject({ orientation: 1 });
  });

  it('cuts a GIF behind its first frame, whose picture stays', async () => {
    const frames = await sharp(await Promise.all([0, 1, 2].map((i) => scene(i).png().toBuffer())), {
      join: { animated: true },
    })
      .gif()
      .toBuffer();
    const alone = firstFrameOf(frames);
    expect(alone.length).toBeLessThan(frames.length / 2);
    expect((await sharp(alone).metadata()).pages ?? 1).toBe(1);
    expect(await sharp(alone).raw().toBuffer()).toEqual(await sharp(frames, { page: 0 }).raw().toBuffer());
  });

  it('knows an animated WebP', async () => {
    const frames = await sharp(await Promise.all([0, 1].map((i) => scene(i).png().toBuffer())), {
      join: { animated: true },
    })
      .webp()
      .toBuffer();
    expect(readImageHeader(frames)).toMatchObject({ format: 'webp', animated: true });
  });

  it.each([
    ['', 'empty'],
    ['hello, world\n', 'text'],
    ['<!doctype html><html>', 'a web page'],
    ['<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">', 'SVG'],
    ['%PDF-1.7', 'PDF'],
    ['\0\0\0\x18ftypheic', 'HEIC'],
    ['\0\0\0\x18ftypavif', 'AVIF or a film'],
    ['II*\0aaaa', 'TIFF or a camera’s raw format'],
    ['\x01\x02\x03', 'no picture format known here'],
  ])('says what %j is instead', (text, found) => {
    expect(readImageHeader(Buffer.from(text, 'latin1'))).toEqual({ foreign: found });
  });

  it('says of every cut through a header that it is damaged, never reading past the end', async () => {
    const made = [scene().withMetadata({ orientation: 3 }).jpeg(), scene().png(), scene().gif(), scene().webp()];
    for (const picture of made) {
      const bytes = await picture.toBuffer();
      for (let length = 12; length < 24; length++)
        expect(readImageHeader(bytes.subarray(0, length))).toEqual({
          foreign: 'a picture whose header is cut off or damaged',
        });
    }
  });
});

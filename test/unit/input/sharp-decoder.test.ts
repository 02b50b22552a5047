import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { openImageDecoder } from '@showtell/worker/input/decode-image.js';
import { openPictureDecoder } from '@showtell/worker/input/decode-picture.js';
import { decodePicture, encodeJpeg, sharpDecoder } from '@showtell/worker/input/sharp-decoder.js';
import { plainPicture } from '../../support/coco-set.js';
import { haveTensorflow } from '../../support/tensorflow.js';

const rules = { maxMegapixels: 1, setting: '--max-megapixels', upright: false };
const [width, height] = [53, 37];
const rgb = Uint8Array.from({ length: width * height * 3 }, (_, i) => Math.round(127 + 100 * Math.sin(i / 97)));
const scene = (): Sharp => sharp(rgb, { raw: { width, height, channels: 3 } });

function most(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

describe('pictures without TensorFlow', () => {
  it.skipIf(!haveTensorflow)(
    'JPEGs in colour and grey differ by a few of 255 from its own (needs the engine: showtell engine setup)',
    async () => {
      const tensorflow = openImageDecoder('cpu');
      const jpegs = {
        colour: await scene().jpeg().toBuffer(),
        'without subsampling': await scene().jpeg({ chromaSubsampling: '4:4:4', quality: 95 }).toBuffer(),
        grey: await scene().toColourspace('b-w').jpeg().toBuffer(),
        turned: await scene().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
        profiled: await scene().withIccProfile('p3').jpeg().toBuffer(),
      };
      for (const [name, jpeg] of Object.entries(jpegs)) {
        const [here, there] = [await sharpDecoder.decode(jpeg, name), tensorflow.decode(jpeg, name)];
        expect([here.width, here.height], name).toEqual([there.width, there.height]);
        expect(most(here.rgb, there.rgb), name).toBeLessThan(16);
      }
    },
  );

  it.skipIf(!haveTensorflow)(
    'PNG, WebP and GIF are as it decodes them, white where they are transparent (needs the engine)',
    async () => {
      const decode = openPictureDecoder('cpu');
      const clear = Uint8Array.from({ length: 16 * 16 * 4 }, (_, i) => (i * 37) % 256);
      const transparent = (): Sharp => sharp(clear, { raw: { width: 16, height: 16, channels: 4 } });
      const pictures = {
        png: await scene().png().toBuffer(),
        'transparent png': await transparent().png().toBuffer(),
        '16 bit png': await scene().toColourspace('rgb16').png().toBuffer(),
        palette: await scene().png({ palette: true }).toBuffer(),
        webp: await scene().webp({ lossless: true }).toBuffer(),
        'transparent webp': await transparent().webp({ lossless: true }).toBuffer(),
        gif: await scene().gif().toBuffer(),
      };
      for (const [name, bytes] of Object.entries(pictures)) {
        const [here, there] = [await decodePicture(bytes, name, rules), decode(bytes, name, rules)];
        expect([here.width, here.height, here.format], name).toEqual([there.width, there.height, there.format]);
        expect(most(here.rgb, there.rgb), name).toBeLessThan(name === 'webp' ? 3 : 2);
      }
    },
  );

  it('turns a JPEG upright when asked', async () => {
    const jpeg = await scene().withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const picture = await decodePicture(jpeg, 'it', { ...rules, upright: true });
    expect([picture.width, picture.height, picture.orientation]).toEqual([height, width, 6]);
  });

  it('makes JPEGs', async () => {
    const jpeg = await encodeJpeg({ width, height, rgb }, 90);
    const back = await sharpDecoder.decode(jpeg, 'it');
    expect([back.width, back.height]).toEqual([width, height]);
    expect(most(back.rgb, rgb)).toBeLessThan(30);
  });

  it('refuses what does not decode, by name', async () => {
    const whole = await plainPicture(1).jpeg().toBuffer();
    const cut = whole.subarray(0, whole.length - 40);
    const undecodable = (where: string) => ({ code: 'input/picture-undecodable', facts: { where } });
    await expect(sharpDecoder.decode(cut, 'cut.jpg')).rejects.toMatchObject(undecodable('cut.jpg'));
    await expect(sharpDecoder.decode(Buffer.from('hello'), 'x')).rejects.toMatchObject(undecodable('x'));
    const png = await scene().png().toBuffer();
    await expect(sharpDecoder.decode(png, 'a.png')).rejects.toMatchObject(undecodable('a.png'));
    await expect(decodePicture(cut, 'cut.jpg', rules)).rejects.toMatchObject(undecodable('cut.jpg'));
    await expect(decodePicture(Buffer.from('hello'), 'x', rules)).rejects.toMatchObject({
      code: 'picture/unknown-format',
    });
    await expect(decodePicture(Buffer.from('BM' + '\0'.repeat(60)), 'x.bmp', rules)).rejects.toMatchObject({
      code: 'picture/unknown-format',
      message: expect.stringContaining('tensorflow') as string,
    });
  });
});

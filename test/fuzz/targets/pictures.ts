import { readFileSync } from 'node:fs';
import { decodeFault } from '@showtell/coordinator/data/picture-check.js';
import { headerOf } from '@showtell/worker/input/decode-picture.js';
import { firstFrameOf } from '@showtell/worker/input/image-header.js';
import { checkRecordPicture } from '@showtell/worker/input/record-picture.js';
import { sharpDecoder } from '@showtell/worker/input/sharp-decoder.js';
import type { FuzzTarget } from '../target.js';

const fixture = (name: string): Buffer => readFileSync(new URL(`../../parity/image/${name}`, import.meta.url));
const rules = { maxMegapixels: 50, setting: '--max-megapixels', upright: true };

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
/** Heads of formats; a decoder would want more. */
const heads = {
  gif: hex('474946383961 0300 0200 80 00 00 ffffff000000 2c 0000 0000 0300 0200 00 02 02 840a 00 3b'),
  png: hex('89504e470d0a1a0a 0000000d 49484452 00000003 00000002 08 06 000000 00000000 00000000 49444154'),
  bmp: hex('424d 3a000000 00000000 36000000 28000000 03000000 02000000 0100 1800'),
  webp: hex('52494646 1a000000 57454250 56503820 0e000000 300100 9d012a 0300 0200'),
  webpExtended: hex('52494646 16000000 57454250 56503858 0a000000 02 000000 020000 010000'),
  webpLossless: hex('52494646 10000000 57454250 5650384c 05000000 2f 02400000'),
  exif: hex(
    'ffd8 ffe1 0022 457869660000 49492a0008000000 0100 1201 0300 01000000 06000000 00000000 ffc0 000b 08 0002 0003 01 01 11 00',
  ),
};

const pictureHeader: FuzzTarget = {
  name: 'picture-header',
  what: 'first bytes of JPEG, PNG, GIF, BMP and WebP',
  seeds: () => ({ ...heads, jpeg: fixture('picture-tiny.jpg') }),
  run: (input) => {
    const { format, width, height, orientation } = headerOf(input, 'it', rules);
    if (width * height > 50_000_000 || orientation < 1 || orientation > 8)
      throw new Error('the header breaks the rules');
    if (format === 'gif' && firstFrameOf(input).length > input.length + 1) throw new Error('a frame beyond the file');
  },
};

const pictureDecode: FuzzTarget = {
  name: 'picture-decode',
  what: 'pictures of records and of data builds, by libvips',
  seeds: () => ({
    tiny: fixture('picture-tiny.jpg'),
    grey: fixture('picture-grey.jpg'),
  }),
  run: async (input) => {
    await decodeFault(input);
    checkRecordPicture(input, 'it');
    await sharpDecoder.decode(input, 'it');
  },
};

export const pictureTargets = [pictureHeader, pictureDecode];

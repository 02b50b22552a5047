import sharp from 'sharp';
import { ShowtellError } from '@showtell/shared/errors.js';
import { type DecodedPicture, headerOf, type PictureRules } from './decode-picture.js';
import type { ImageDecoder } from './image-decoder.js';
import { firstFrameOf } from './image-header.js';
import { orient } from './orient.js';
import type { Picture } from './picture.js';

/**
 * JPEG by libjpeg-turbo through sharp, for engines that come without TensorFlow. It has the accurate DCT where
 * TensorFlow has the fast one, so that pixels differ by a few of 255; colour profile and orientation are ignored and
 * truncated files refused as there.
 */
export const sharpDecoder: ImageDecoder = {
  async decode(jpeg, where) {
    const { format, ...picture } = await rgbOf(jpeg, where);
    if (format !== 'jpeg') throw undecodable(where, `it is ${format}`);
    return picture;
  },
};

/**
 * Decodes what people have, but BMP, as `openPictureDecoder` does.
 * @throws ShowtellError `picture/unknown-format`, `picture/too-large`, `input/picture-undecodable`
 */
export async function decodePicture(bytes: Uint8Array, where: string, rules: PictureRules): Promise<DecodedPicture> {
  const { format, orientation } = headerOf(bytes, where, rules);
  if (format === 'bmp')
    throw new ShowtellError('picture/unknown-format', {
      where,
      found: 'BMP, which the tensorflow engine alone decodes',
    });
  const { width, height, rgb } = await rgbOf(format === 'gif' ? firstFrameOf(bytes) : bytes, where);
  const picture = rules.upright ? orient({ width, height, rgb }, orientation) : { width, height, rgb };
  return { ...picture, format, orientation };
}

/** A small picture as a JPEG. */
export async function encodeJpeg({ width, height, rgb }: Picture, quality: number): Promise<Uint8Array> {
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality })
    .toBuffer();
}

async function rgbOf(bytes: Uint8Array, where: string): Promise<Picture & { readonly format: string | undefined }> {
  try {
    // Sizes were looked at before, by rules of our own.
    const image = sharp(bytes, { failOn: 'error', ignoreIcc: true, limitInputPixels: false });
    const { format } = await image.metadata();
    const { data, info } = await image
      .flatten({ background: '#fff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new RangeError(`it has ${info.channels} channels`);
    return { width: info.width, height: info.height, rgb: data, format };
  } catch (cause) {
    if (cause instanceof ShowtellError) throw cause;
    const [detail = ''] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw undecodable(where, detail, cause);
  }
}

function undecodable(where: string, detail: string, cause?: unknown): ShowtellError {
  return new ShowtellError('input/picture-undecodable', { where, detail }, { cause });
}

import { readFile } from 'node:fs/promises';
import sharp from 'sharp';

/** A larger one would take gigabytes to decode, by a file of a few hundred bytes; workers have the same limit. */
const limits = { limitInputPixels: 100_000_000 };

/** A picture's bytes as they go into a record, or why they can't. */
type CheckedPicture = { readonly jpeg: Uint8Array } | { readonly fault: string };

/**
 * Reads a picture and decodes it whole, as im2txt does before it writes one: a JPEG in RGB or grey passes as it is.
 * With `convert`, any picture that decodes is encoded anew as an RGB JPEG of quality 95 instead of being refused.
 * `decode: false` only looks at the header, for a picture that was decoded before.
 */
export async function checkPicture(file: string, convert: boolean, decode = true): Promise<CheckedPicture> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    return { fault: `it cannot be read (${describe(error)})` };
  }
  try {
    const { format, space } = await sharp(bytes, limits).metadata();
    if (format === 'jpeg' && space !== 'cmyk') {
      const fault = decode ? await decodeFault(bytes) : null;
      return fault === null ? { jpeg: bytes } : { fault };
    }
    if (!convert) return { fault: `it is ${format} in ${space}` };
    const rgb = sharp(bytes, { failOn: 'error', ...limits }).flatten({ background: '#fff' }).toColourspace('srgb');
    return { jpeg: await rgb.jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer() };
  } catch (error) {
    return { fault: decodingFault(bytes, error) };
  }
}

/** Why the bytes of a record's picture don't decode to an RGB or grey JPEG, or null. */
export async function decodeFault(jpeg: Uint8Array): Promise<string | null> {
  try {
    const image = sharp(jpeg, { failOn: 'error', ...limits });
    const { format, space } = await image.metadata();
    if (format !== 'jpeg' || space === 'cmyk') return `it is ${format} in ${space}`;
    await image.raw().toBuffer();
    return null;
  } catch (error) {
    return decodingFault(jpeg, error);
  }
}

/**
 * Why decoding failed, from the bytes before libvips is asked: it keeps one log of errors for the whole process, which
 * pictures decoded at the same time write to and empty.
 */
function decodingFault(bytes: Uint8Array, error: unknown): string {
  const isJpeg = bytes[0] === 0xff && bytes[1] === 0xd8;
  const hasEnd = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(jpegEnd);
  if (isJpeg && !hasEnd) return 'premature end of JPEG image';
  const said = describe(error);
  return said === 'Unknown error' || said.endsWith(':') ? 'its data are damaged' : said;
}

/** The marker EOI, which no coded data can hold. */
const jpegEnd = Buffer.from([0xff, 0xd9]);

function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n')[0]?.trim() ?? text;
}

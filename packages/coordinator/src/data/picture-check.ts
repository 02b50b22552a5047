import { readFile } from 'node:fs/promises';
import sharp from 'sharp';

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
    const { format, space } = await sharp(bytes).metadata();
    if (format === 'jpeg' && space !== 'cmyk') {
      const fault = decode ? await decodeFault(bytes) : null;
      return fault === null ? { jpeg: bytes } : { fault };
    }
    if (!convert) return { fault: `it is ${format} in ${space}` };
    const rgb = sharp(bytes, { failOn: 'error' }).flatten({ background: '#fff' }).toColourspace('srgb');
    return { jpeg: await rgb.jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer() };
  } catch (error) {
    return { fault: describe(error) };
  }
}

/** Why the bytes of a record's picture don't decode to an RGB or grey JPEG, or null. */
export async function decodeFault(jpeg: Uint8Array): Promise<string | null> {
  try {
    const image = sharp(jpeg, { failOn: 'error' });
    const { format, space } = await image.metadata();
    if (format !== 'jpeg' || space === 'cmyk') return `it is ${format} in ${space}`;
    await image.raw().toBuffer();
    return null;
  } catch (error) {
    return describe(error);
  }
}

function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n')[0]?.trim() ?? text;
}

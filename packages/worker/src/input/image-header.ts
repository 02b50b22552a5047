/** A picture as its first bytes tell, before anything is decoded. */
export interface ImageHeader {
  readonly format: ImageFormat;
  readonly width: number;
  readonly height: number;
  /** EXIF's orientation of a JPEG, 1 (upright) to 8; 1 where none is stated. */
  readonly orientation: number;
  /** Whether it has more than one frame. Of a GIF it is not asked: only its first frame is ever decoded. */
  readonly animated: boolean;
  /** Whether a PNG may be seen through somewhere; of other formats it is not asked. */
  readonly transparent: boolean;
}

/** Formats that are decoded. */
export const imageFormats = ['jpeg', 'png', 'gif', 'bmp', 'webp'] as const;
export type ImageFormat = (typeof imageFormats)[number];

/**
 * Reads format and size from a picture's head. Nothing is allocated by what the header claims.
 * @returns the header, or what the bytes seem to be instead
 */
export function readImageHeader(bytes: Uint8Array): ImageHeader | { readonly foreign: string } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (starts(bytes, [0xff, 0xd8, 0xff])) return jpegHeader(view);
    if (starts(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return pngHeader(view);
    if (text(view, 0, 6) === 'GIF87a' || text(view, 0, 6) === 'GIF89a') return gifHeader(view);
    if (text(view, 0, 2) === 'BM') return bmpHeader(view);
    if (text(view, 0, 4) === 'RIFF' && text(view, 8, 4) === 'WEBP') return webpHeader(view);
  } catch (error) {
    if (error instanceof RangeError) return { foreign: 'a picture whose header is cut off or damaged' };
    throw error;
  }
  return { foreign: nameForeign(bytes, view) };
}

const plain = { orientation: 1, animated: false, transparent: false } as const;

/** Walks the segments up to the frame header, which has the size. */
function jpegHeader(view: DataView): ImageHeader {
  let orientation = 1;
  for (let at = 2; ;) {
    if (view.getUint8(at) !== 0xff) throw new RangeError('no marker');
    const marker = view.getUint8(at + 1);
    // Fill bytes before a marker, and markers without a body.
    if (marker === 0xff) at += 1;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
      return { format: 'jpeg', width, height, ...plain, orientation };
    } else if (marker === 0xd9 || marker === 0xda) throw new RangeError('no frame header');
    else {
      const length = view.getUint16(at + 2);
      if (length < 2) throw new RangeError('a segment without length');
      if (marker === 0xe1) orientation = exifOrientation(view, at + 4, length - 2) ?? orientation;
      at += 2 + length;
    }
  }
}

/** The orientation tag of an APP1 segment; null when it is no EXIF, or none is in it. A damaged one states nothing. */
function exifOrientation(view: DataView, at: number, length: number): number | null {
  const end = at + length;
  if (length < 14 || end > view.byteLength || text(view, at, 6) !== 'Exif\0\0') return null;
  const tiff = at + 6;
  const order = text(view, tiff, 2);
  if (order !== 'II' && order !== 'MM') return null;
  const little = order === 'II';
  const directory = tiff + view.getUint32(tiff + 4, little);
  if (directory + 2 > end) return null;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + i * 12;
    if (entry + 12 > end) return null;
    if (view.getUint16(entry, little) !== 0x0112) continue;
    const value = view.getUint16(entry + 8, little);
    return value >= 1 && value <= 8 ? value : null;
  }
  return null;
}

function pngHeader(view: DataView): ImageHeader {
  if (text(view, 12, 4) !== 'IHDR') throw new RangeError('no IHDR');
  const transparent = (view.getUint8(25) & 4) !== 0 || hasChunkBeforeData(view, 'tRNS');
  return { format: 'png', width: view.getUint32(16), height: view.getUint32(20), ...plain, transparent };
}

function hasChunkBeforeData(view: DataView, wanted: string): boolean {
  for (let at = 8; at + 8 <= view.byteLength; at += 12 + view.getUint32(at)) {
    const name = text(view, at + 4, 4);
    if (name === wanted) return true;
    if (name === 'IDAT') return false;
  }
  return false;
}

/** The screen's size or the first frame's, whichever is larger: both are allocated. */
function gifHeader(view: DataView): ImageHeader {
  const frame = gifFrame(view);
  const width = Math.max(view.getUint16(6, true), frame.width);
  const height = Math.max(view.getUint16(8, true), frame.height);
  return { format: 'gif', width, height, ...plain };
}

/** Where the first frame of a GIF ends, and its size. @throws RangeError when the file is cut off before */
function gifFrame(view: DataView): { readonly width: number; readonly height: number; readonly end: number } {
  const colors = (flags: number): number => ((flags & 0x80) === 0 ? 0 : 3 * (2 << (flags & 7)));
  const skipBlocks = (from: number): number => {
    let at = from;
    for (let size = view.getUint8(at); size !== 0; size = view.getUint8(at)) at += size + 1;
    return at + 1;
  };
  for (let at = 13 + colors(view.getUint8(10)); ;) {
    const kind = view.getUint8(at);
    if (kind === 0x21) at = skipBlocks(at + 2);
    else if (kind === 0x2c) {
      const [width, height] = [view.getUint16(at + 5, true), view.getUint16(at + 7, true)];
      return { width, height, end: skipBlocks(at + 11 + colors(view.getUint8(at + 9))) };
    } else throw new RangeError('no frame');
  }
}

/** The GIF with its first frame alone: decoders unpack every frame before they give the first. */
export function firstFrameOf(gif: Uint8Array): Uint8Array {
  const { end } = gifFrame(new DataView(gif.buffer, gif.byteOffset, gif.byteLength));
  const alone = new Uint8Array(end + 1);
  alone.set(gif.subarray(0, end));
  alone[end] = 0x3b;
  return alone;
}

function bmpHeader(view: DataView): ImageHeader {
  const [width, height] =
    view.getUint32(14, true) === 12
      ? [view.getUint16(18, true), view.getUint16(20, true)]
      : [view.getInt32(18, true), view.getInt32(22, true)];
  return { format: 'bmp', width: Math.abs(width), height: Math.abs(height), ...plain };
}

function webpHeader(view: DataView): ImageHeader {
  const format = 'webp';
  switch (text(view, 12, 4)) {
    case 'VP8 ':
      return { format, width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff, ...plain };
    case 'VP8L': {
      const bits = view.getUint32(21, true);
      return { format, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1, ...plain };
    }
    case 'VP8X': {
      const side = (at: number): number => (view.getUint16(at, true) | (view.getUint8(at + 2) << 16)) + 1;
      const animated = (view.getUint8(20) & 0x02) !== 0;
      return { format, width: side(24), height: side(27), ...plain, animated };
    }
    default:
      throw new RangeError('no VP8 chunk');
  }
}

/** For the message: what a file that is not decoded seems to be. */
function nameForeign(bytes: Uint8Array, view: DataView): string {
  if (bytes.length === 0) return 'empty';
  const head = text(view, 0, Math.min(512, bytes.length));
  if (head.slice(4, 8) === 'ftyp') return /^(heic|heix|mif1|msf1)/.test(head.slice(8, 12)) ? 'HEIC' : 'AVIF or a film';
  const known: readonly (readonly [RegExp, string])[] = [
    [/^(II\*\0|MM\0\*)/, 'TIFF or a camera’s raw format'],
    [/^\0\0\0\x0cjP/, 'JPEG 2000'],
    [/^(\xff\x0a|\0\0\0\x0cJXL)/, 'JPEG XL'],
    [/^%PDF/, 'PDF'],
    [/^8BPS/, 'Photoshop'],
    [/^PK\x03\x04/, 'a zip archive'],
    [/^\s*(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*)?<svg/i, 'SVG'],
    [/^\s*<(!doctype|html)/i, 'a web page'],
    [/^[\t\n\r\x20-\x7e]+$/, 'text'],
  ];
  return known.find(([pattern]) => pattern.test(head))?.[1] ?? 'no picture format known here';
}

function starts(bytes: Uint8Array, head: readonly number[]): boolean {
  return head.every((byte, i) => bytes[i] === byte);
}

/** Bytes as Latin-1; shorter where the file ends. */
function text(view: DataView, at: number, length: number): string {
  const end = Math.max(at, Math.min(at + length, view.byteLength));
  return String.fromCharCode(...Array.from({ length: end - at }, (_, i) => view.getUint8(at + i)));
}

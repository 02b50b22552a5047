import { ShowtellError } from '@showtell/shared/errors.js';
import { readImageHeader } from './image-header.js';

/** Larger pictures come into no data set; a few hundred bytes may claim four thousand million pixels. */
const mostMegapixels = 100;

/** Looks at the size of a record's picture before it is decoded. @throws ShowtellError `input/picture-undecodable` */
export function checkRecordPicture(jpeg: Uint8Array, where: string): void {
  const header = readImageHeader(jpeg);
  if ('foreign' in header || header.width * header.height <= mostMegapixels * 1_000_000) return;
  const detail = `it claims ${header.width} × ${header.height} pixels, of at most ${mostMegapixels} million`;
  throw new ShowtellError('input/picture-undecodable', { where, detail });
}

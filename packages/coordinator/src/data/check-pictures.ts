import pLimit from 'p-limit';
import sharp from 'sharp';
import { ShowtellError } from '@showtell/shared/errors.js';
import { SPLIT_NAMES } from '@showtell/shared/data/manifest.js';
import { appendChecks, readChecks, type PictureCheck } from './build-folder.js';
import type { BuildOptions } from './build-options.js';
import type { CaptionedPicture } from './coco.js';
import { checkPicture } from './picture-check.js';

/** Pictures looked at between two notes of how far the check is. */
const CHECKS_PER_NOTE = 500;

/** By image id: which file, and why it can't be used. */
export type Faults = Map<number, { readonly file: string; readonly fault: string }>;

/**
 * Looks at every picture once, before a record is written, so that a bad one is told in the first minutes; those that an
 * interrupted build had looked at are not looked at again.
 * @returns the pictures that can't be used, by image id, when told to leave them out
 * @throws ShowtellError `data/image-undecodable` when not
 */
export async function checkPictures(options: BuildOptions): Promise<Faults> {
  const pictures = new Map<number, CaptionedPicture>();
  for (const name of SPLIT_NAMES) for (const picture of options.splits[name]) pictures.set(picture.imageId, picture);
  const faults: Faults = new Map();
  const note = ({ imageId, fault }: PictureCheck): void => {
    const picture = pictures.get(imageId);
    pictures.delete(imageId);
    if (fault === null || picture === undefined) return;
    if (!options.skipBad) {
      throw new ShowtellError('data/image-undecodable', { file: picture.file, imageId, detail: fault });
    }
    faults.set(imageId, { file: picture.fileName, fault });
  };
  const total = pictures.size;
  for (const check of await readChecks(options.directory)) if (check.fault === null || options.skipBad) note(check);
  options.progress.begin('checking pictures', total);
  options.progress.advance(total - pictures.size);
  // libvips would thread within each picture too; pictures side by side do better.
  sharp.concurrency(1);
  const limit = pLimit(options.threads);
  const left = [...pictures.values()];
  for (let i = 0; i < left.length; i += CHECKS_PER_NOTE) {
    const checks = await Promise.all(
      left.slice(i, i + CHECKS_PER_NOTE).map((picture) =>
        limit(async (): Promise<PictureCheck> => {
          const checked = await checkPicture(picture.file, options.convert);
          options.progress.advance(1);
          return { imageId: picture.imageId, fault: 'fault' in checked ? checked.fault : null };
        }),
      ),
    );
    for (const check of checks) note(check);
    await appendChecks(options.directory, checks);
  }
  options.progress.end();
  return faults;
}


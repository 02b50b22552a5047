import type { DatasetManifest } from '@showtell/shared/data/manifest.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { loadPictures, type CaptionedPicture, type SkippedPicture } from './coco.js';
import { splitPictures, type SplitRule } from './split-pictures.js';
import { writeDataset } from './write-dataset.js';
import type { BuildOptions } from './build-options.js';

export interface BuildCocoOptions extends Omit<BuildOptions, 'source' | 'plan' | 'check' | 'splits' | 'skipped'> {
  readonly annotations: string;
  readonly images: string;
  /** COCO's val annotations, of which im2txt trains on the greater part; null for a set in one file. */
  readonly valAnnotations: string | null;
  readonly valImages: string | null;
  readonly split: SplitRule;
}

/**
 * COCO's caption annotations and pictures → a data folder as im2txt's build_mscoco_data.py makes it: shuffled pairs in
 * shards, each with its index, the vocabulary, the captions of each split.
 * @returns the manifest, or null when the folder already held this very build
 */
export async function buildCoco(options: BuildCocoOptions): Promise<DatasetManifest | null> {
  const skipped: SkippedPicture[] | null = options.skipBad ? [] : null;
  const train = await loadPictures(options.annotations, options.images, skipped);
  const val =
    options.valAnnotations === null
      ? null
      : await loadPictures(options.valAnnotations, options.valImages ?? options.images, skipped);
  if (val !== null) refuseSharedIds(train, val, options.valAnnotations ?? '');
  const { splits, rule } = splitPictures(train, val, options.split, options.seed);
  if (rule.kind === 'reuse' && options.split.kind === 'auto') {
    options.progress.note(
      `${train.length} pictures are too few to hold some back: train, val and test are all of them (--split divides them).`,
    );
  }
  const { minWordCount, maxWords, seed } = options;
  return writeDataset({
    ...options,
    source: { kind: 'build-coco', split: rule, minWordCount, maxWords, seed },
    plan: null,
    check: true,
    splits,
    skipped: skipped ?? [],
  });
}

/** COCO's ids are unique over its files; records know a picture by its id alone. */
function refuseSharedIds(train: readonly CaptionedPicture[], val: readonly CaptionedPicture[], file: string): void {
  const known = new Map(train.map((picture) => [picture.imageId, picture.file]));
  for (const picture of val) {
    const other = known.get(picture.imageId);
    if (other === undefined || other === picture.file) continue;
    const detail = `its image id ${picture.imageId} is ${picture.file}, but in the other file it is ${other}`;
    throw new ShowtellError('data/annotations-unreadable', { file, detail });
  }
}

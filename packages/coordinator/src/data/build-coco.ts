import type { DatasetManifest } from '@showtell/shared/data/manifest.js';
import { loadPictures, type SkippedPicture } from './coco.js';
import { splitPictures, type SplitRule } from './split-pictures.js';
import { writeDataset, type BuildOptions } from './write-dataset.js';

export interface BuildCocoOptions extends Omit<BuildOptions, 'source' | 'splits' | 'skipped'> {
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
    splits,
    skipped: skipped ?? [],
  });
}

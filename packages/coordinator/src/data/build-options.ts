import type { SplitName } from '@showtell/shared/data/manifest.js';
import type { CaptionedPicture, SkippedPicture } from './coco.js';
import type { Progress } from './progress.js';

/** What a data folder is made of and how, whether the pictures were found or drawn. */
export interface BuildOptions {
  readonly directory: string;
  /** Where the set came from, for dataset.json: a command and the options that made it. */
  readonly source: { readonly kind: 'build-coco' | 'synth'; readonly [option: string]: unknown };
  /** Hash of all that decides the folder's bytes; null: it is taken of the pairs, the vocabulary and the options. */
  readonly plan: string | null;
  readonly splits: Readonly<Record<SplitName, readonly CaptionedPicture[]>>;
  /** Pictures that were left out before. */
  readonly skipped: readonly SkippedPicture[];
  /** null: as many as im2txt has, but no more than one for every 256 records. */
  readonly shards: Readonly<Record<SplitName, number | null>>;
  readonly minWordCount: number;
  readonly maxWords: number;
  readonly seed: number;
  readonly threads: number;
  readonly convert: boolean;
  readonly skipBad: boolean;
  /** Decode each picture first; pictures drawn a moment ago need no check. */
  readonly check: boolean;
  readonly progress: Progress;
}

/** One record to be: a picture with one of its captions. */
export interface Pair {
  readonly picture: CaptionedPicture;
  readonly words: readonly string[];
}


import type { SplitName } from '@showtell/shared/data/manifest.js';
import { permutation, random } from '@showtell/shared/random.js';
import { ShowtellError } from '@showtell/shared/errors.js';

/** How pictures are divided: by shares of train, val and test, all three of the same pictures, or as fits the set. */
export type SplitRule =
  | { readonly kind: 'auto' }
  | { readonly kind: 'reuse' }
  | { readonly kind: 'shares'; readonly train: number; readonly val: number; readonly test: number };

/** im2txt's: all of COCO's train and 85 % of its val to train on, 5 % to validate, 10 % to test. */
const IM2TXT_SHARES = { kind: 'shares', train: 0.85, val: 0.05, test: 0.1 } as const;

/** Fewer pictures than this in a single annotation file are not divided unless shares are given. */
const SMALL_SET = 100;

/**
 * Divides pictures into train, val and test.
 *
 * With a `val` list: `train` whole and the first share of `val` to train on, the next to validate, the rest to test, in
 * the annotations' order, as im2txt has it. Without one `train` itself is divided so, shuffled first because a small
 * set's order often means something. `reuse` puts every picture in all three.
 * @throws ShowtellError `data/split-impossible` when a part would be empty
 */
export function splitPictures<P>(
  train: readonly P[],
  val: readonly P[] | null,
  rule: SplitRule,
  seed: number,
): { readonly splits: Readonly<Record<SplitName, readonly P[]>>; readonly rule: Exclude<SplitRule, { kind: 'auto' }> } {
  const divided = val ?? shuffled(train, seed);
  const chosen =
    rule.kind !== 'auto' ? rule : val === null && train.length < SMALL_SET ? ({ kind: 'reuse' } as const) : IM2TXT_SHARES;
  if (chosen.kind === 'reuse') {
    const all = [...train, ...(val ?? [])];
    return { splits: { train: all, val: all, test: all }, rule: chosen };
  }
  // Shares are decimal fractions: 0.85 + 0.05 is a little under 0.9 in binary, where im2txt cuts at int(0.9 · n).
  const cutTrain = Math.floor(chosen.train * divided.length + 1e-9);
  const cutVal = Math.floor((chosen.train + chosen.val) * divided.length + 1e-9);
  const splits = {
    train: [...(val === null ? [] : train), ...divided.slice(0, cutTrain)],
    val: divided.slice(cutTrain, cutVal),
    test: divided.slice(cutVal),
  };
  for (const name of ['train', 'val', 'test'] as const) {
    if (splits[name].length > 0 || (name === 'test' && chosen.test === 0)) continue;
    const detail = `of ${divided.length} pictures ${chosen.train}, ${chosen.val}, ${chosen.test} leave none to ${name}`;
    throw new ShowtellError('data/split-impossible', { detail });
  }
  return { splits, rule: chosen };
}

/** The list in an order drawn from the seed and what it is for. */
export function shuffled<T>(list: readonly T[], seed: number, purpose = 'split'): T[] {
  const order = permutation(list.length, random(seed, 'data', purpose));
  return Array.from(order, (i) => list[i] as T);
}

import { firstListOf, longestNgram, type NgramCounts } from './ngrams.js';
import type { NumberedSet } from './number-tokens.js';
import { PairNumbers } from './pair-numbers.js';

/**
 * Of each n-gram, how many pictures have it in a reference, and 1 where none has.
 *
 * Orders come one after another, because an n-gram is in no more pictures than what it begins with: only where that is in
 * several need the n-gram be looked for in other pictures, which spares most of the long ones.
 */
export function documentFrequencies(set: NumberedSet, counts: NgramCounts): Int32Array {
  const { firsts, prefixes, lastWords } = counts;
  const ngrams = firsts.at(-1) as number;
  const frequencies = new Int32Array(ngrams).fill(1);
  // No words are in every picture.
  frequencies[0] = set.pictures;
  const referenced = inReferences(set, counts);
  /** Of each n-gram that is looked for, a number that equal ones of all pictures share. */
  const shared = new Int32Array(ngrams);
  for (let order = 0; order < longestNgram; order++) {
    const looked = lookedFor(counts, order, frequencies);
    const pairs = order === 0 ? null : new PairNumbers(looked.length);
    const having = new Int32Array(pairs === null ? set.numbers : looked.length);
    for (let i = 0; i < looked.length; i++) {
      const id = looked[i] as number;
      const word = lastWords[id] as number;
      const number = pairs === null ? word : pairs.of(shared[prefixes[id] as number] as number, word);
      shared[id] = number;
      having[number] = (having[number] as number) + (referenced[id] as number);
    }
    for (let i = 0; i < looked.length; i++) {
      const id = looked[i] as number;
      frequencies[id] = Math.max(1, having[shared[id] as number] as number);
    }
  }
  return frequencies;
}

/** 1 for each n-gram that a reference of its picture has. */
function inReferences(set: NumberedSet, { firsts, ids, starts }: NgramCounts): Uint8Array {
  const referenced = new Uint8Array(firsts.at(-1) as number);
  for (let picture = 0; picture < set.pictures; picture++)
    for (let order = 0; order < longestNgram; order++) {
      const end = starts[firstListOf(set, picture, order + 1)] as number;
      for (let place = starts[firstListOf(set, picture, order) + 1] as number; place < end; place++)
        referenced[ids[place] as number] = 1;
    }
  return referenced;
}

/** The n-grams of an order whose prefix is in several pictures. */
function lookedFor({ firsts, prefixes }: NgramCounts, order: number, frequencies: Int32Array): Int32Array {
  const looked = new Int32Array(prefixes.length);
  let end = 0;
  for (let at = order; at + 1 < firsts.length; at += longestNgram) {
    const last = firsts[at + 1] as number;
    for (let id = firsts[at] as number; id < last; id++)
      if ((frequencies[prefixes[id] as number] as number) > 1) looked[end++] = id;
  }
  return looked.subarray(0, end);
}

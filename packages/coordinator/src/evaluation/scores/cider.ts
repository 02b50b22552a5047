import { type CountedSet, longestNgram, type NgramCounts } from './ngrams.js';

/** Width of the Gaussian that punishes a difference in length, in bigrams. */
const sigma = 6;

/** A caption as tf-idf vectors, one for each order of n-grams. */
interface Vector {
  readonly counts: NgramCounts;
  /** Of the n-gram at the same place of the counts. */
  readonly weights: Float64Array;
  /** Per order. */
  readonly norms: readonly number[];
  /** Bigrams, which is what pycocoevalcap takes for the length: no word and one word are equally long. */
  readonly length: number;
}

/**
 * CIDEr of each caption as pycocoevalcap's `Cider` has it (clipped counts and Gaussian length penalty, that is CIDEr-D,
 * without stemming), in [0, 10]; the set's is their mean. Document frequencies come from the references given here, so a
 * caption's value depends on the whole set; with one picture, or the same n-grams in all, every weight and score is 0.
 */
export function cider(set: CountedSet): number[] {
  const rarity = rarityOf(set);
  const found = new Float64Array(set.ngrams);
  return set.captions.map(({ candidate, references }) => {
    if (references.length === 0) return 0;
    const vector = weigh(candidate, rarity);
    let sum = 0;
    for (const reference of references) sum += compare(vector, weigh(reference, rarity), found);
    return (10 * sum) / longestNgram / references.length;
  });
}

/** Of each n-gram: logarithm of the number of pictures over the number of those with the n-gram in a reference. */
function rarityOf({ captions, ngrams }: CountedSet): Float64Array {
  const frequency = new Int32Array(ngrams);
  const seenIn = new Int32Array(ngrams).fill(-1);
  for (const [picture, { references }] of captions.entries())
    for (const { ids } of references)
      for (const id of ids) {
        if (seenIn[id] === picture) continue;
        seenIn[id] = picture;
        frequency[id] = (frequency[id] as number) + 1;
      }
  const logPictures = Math.log(captions.length);
  const logs = new Float64Array(captions.length + 1).map((_, pictures) => Math.log(Math.max(1, pictures)));
  return Float64Array.from(frequency, (pictures) => logPictures - (logs[pictures] as number));
}

function weigh(counts: NgramCounts, rarity: Float64Array): Vector {
  const { ids, times, ends } = counts;
  const weights = new Float64Array(ids.length);
  const norms: number[] = [];
  let i = 0;
  for (const end of ends) {
    let squares = 0;
    for (; i < end; i++) {
      const weight = (times[i] as number) * (rarity[ids[i] as number] as number);
      weights[i] = weight;
      squares += weight * weight;
    }
    norms.push(Math.sqrt(squares));
  }
  return { counts, weights, norms, length: Math.max(0, counts.words - 1) };
}

/**
 * Sum over the orders of n-grams.
 * @param found a weight for each n-gram: zeros on entering and on leaving.
 */
function compare(candidate: Vector, reference: Vector, found: Float64Array): number {
  const referenceIds = reference.counts.ids;
  for (let i = 0; i < referenceIds.length; i++) found[referenceIds[i] as number] = reference.weights[i] as number;
  let sum = 0;
  let i = 0;
  for (let order = 0; order < longestNgram; order++) {
    let similarity = 0;
    for (const end = candidate.counts.ends[order] ?? 0; i < end; i++) {
      const other = found[candidate.counts.ids[i] as number] as number;
      similarity += Math.min(candidate.weights[i] as number, other) * other;
    }
    const norm = (candidate.norms[order] ?? 0) * (reference.norms[order] ?? 0);
    sum += norm === 0 ? similarity : similarity / norm;
  }
  for (const id of referenceIds) found[id] = 0;
  const difference = candidate.length - reference.length;
  return sum * Math.exp(-(difference * difference) / (2 * sigma * sigma));
}

import { documentFrequencies } from './document-frequency.js';
import { firstListOf, longestNgram, mostNgrams, type NgramCounts } from './ngrams.js';
import { listLength, type NumberedSet } from './number-tokens.js';

/** Width of the Gaussian that punishes a difference in length, in bigrams. */
const sigma = 6;

/**
 * CIDEr of each caption as pycocoevalcap's `Cider` has it (clipped counts and Gaussian length penalty, that is CIDEr-D,
 * without stemming), in [0, 10]; the set's is their mean. Document frequencies come from the references given here, so a
 * caption's value depends on the whole set; with one picture, or the same n-grams in all, every weight and score is 0.
 */
export function cider(set: NumberedSet, counts: NgramCounts): number[] {
  const weights = weigh(set, counts, documentFrequencies(set, counts));
  /** Of each n-gram of a picture, its weight in the candidate; 0 where that has it not. */
  const ofCandidate = new Float64Array(mostNgrams(counts));
  return Array.from({ length: set.pictures }, (_, picture) => {
    const candidate = set.firsts[picture] as number;
    const references = (set.firsts[picture + 1] as number) - candidate - 1;
    if (references === 0) return 0;
    const firstNgram = counts.firsts[picture * longestNgram] as number;
    ofCandidate.fill(0, 0, (counts.firsts[(picture + 1) * longestNgram] as number) - firstNgram);
    let sum = 0;
    for (let order = 0; order < longestNgram; order++) {
      const list = firstListOf(set, picture, order);
      const last = counts.starts[list + 1] as number;
      for (let place = counts.starts[list] as number; place < last; place++)
        ofCandidate[(counts.ids[place] as number) - firstNgram] = weights[place] as number;
      const candidateNorm = norm(list, counts, weights);
      for (let i = 1; i <= references; i++) {
        const norms = candidateNorm * norm(list + i, counts, weights);
        const common = clippedProduct(list + i, counts, weights, ofCandidate, firstNgram);
        const difference = bigrams(set, candidate) - bigrams(set, candidate + i);
        sum += (norms === 0 ? common : common / norms) * Math.exp(-(difference * difference) / (2 * sigma * sigma));
      }
    }
    return (10 * sum) / longestNgram / references;
  });
}

/** Of the n-gram at each place of `counts.ids`: how often the caption has it, the more worth the fewer pictures have it. */
function weigh(set: NumberedSet, { ids, times }: NgramCounts, frequencies: Int32Array): Float64Array {
  const logPictures = Math.log(set.pictures);
  const rarities = new Float64Array(set.pictures + 1).map((_, pictures) => logPictures - Math.log(pictures));
  const weights = new Float64Array(ids.length);
  for (let place = 0; place < weights.length; place++)
    weights[place] = (times[place] as number) * (rarities[frequencies[ids[place] as number] as number] as number);
  return weights;
}

/** Length of the vector of a list's weights. */
function norm(list: number, { starts }: NgramCounts, weights: Float64Array): number {
  let squares = 0;
  const end = starts[list + 1] as number;
  for (let place = starts[list] as number; place < end; place++) {
    const weight = weights[place] as number;
    squares += weight * weight;
  }
  return Math.sqrt(squares);
}

/** Product of the candidate's and a reference's vectors, in which no weight of the candidate's counts above the reference's. */
function clippedProduct(
  list: number,
  { ids, starts }: NgramCounts,
  weights: Float64Array,
  ofCandidate: Float64Array,
  firstNgram: number,
): number {
  let sum = 0;
  const end = starts[list + 1] as number;
  for (let place = starts[list] as number; place < end; place++) {
    const weight = weights[place] as number;
    sum += Math.min(ofCandidate[(ids[place] as number) - firstNgram] as number, weight) * weight;
  }
  return sum;
}

/** What pycocoevalcap takes for a caption's length, so that no word and one word are equally long. */
function bigrams({ words }: NumberedSet, caption: number): number {
  return Math.max(0, listLength(words, caption) - 1);
}

import type { ScoredCaption } from './bleu.js';
import { countNgrams, splitWords } from './ngrams.js';

const orders = [1, 2, 3, 4] as const;
/** Width of the Gaussian that punishes a difference in length, in bigrams. */
const sigma = 6;

/** A caption as tf-idf vectors, one for each order of n-grams. */
interface Vector {
  readonly weights: readonly Map<string, number>[];
  readonly norms: readonly number[];
  /** Bigrams, which is what pycocoevalcap takes for the length: no word and one word are equally long. */
  readonly length: number;
}

/**
 * CIDEr of each caption as pycocoevalcap's `Cider` has it (clipped counts and Gaussian length penalty, that is CIDEr-D,
 * without stemming), in [0, 10]. Document frequencies come from the references given here, so a caption's value depends on
 * the whole set; with one picture, or the same n-grams in all, every weight and every score is 0.
 */
export function captionCiders(captions: readonly ScoredCaption[]): number[] {
  const counted = captions.map(({ candidate, references }) => ({
    candidate: countAll(candidate),
    references: references.map(countAll),
  }));
  const frequency = documentFrequency(counted.map(({ references }) => references));
  const logPictures = Math.log(captions.length);
  return counted.map(({ candidate, references }) => {
    if (references.length === 0) return 0;
    const vector = weigh(candidate, frequency, logPictures);
    const sums = [0, 0, 0, 0];
    for (const reference of references) {
      const similarity = compare(vector, weigh(reference, frequency, logPictures));
      similarity.forEach((value, order) => (sums[order] = (sums[order] ?? 0) + value));
    }
    const mean = sums.reduce((sum, value) => sum + value, 0) / orders.length;
    return (10 * mean) / references.length;
  });
}

/** Mean of {@link captionCiders}; 0 for no captions. */
export function corpusCider(captions: readonly ScoredCaption[]): number {
  if (captions.length === 0) return 0;
  return captionCiders(captions).reduce((sum, value) => sum + value, 0) / captions.length;
}

type Counted = readonly Map<string, number>[];

function countAll(tokens: readonly string[]): Counted {
  const words = splitWords(tokens);
  return orders.map((order) => countNgrams(words, order));
}

/** In how many pictures' references each n-gram occurs. */
function documentFrequency(pictures: readonly (readonly Counted[])[]): Map<string, number> {
  const frequency = new Map<string, number>();
  for (const references of pictures) {
    const seen = new Set(references.flatMap((counted) => counted.flatMap((order) => [...order.keys()])));
    for (const ngram of seen) frequency.set(ngram, (frequency.get(ngram) ?? 0) + 1);
  }
  return frequency;
}

function weigh(counted: Counted, frequency: ReadonlyMap<string, number>, logPictures: number): Vector {
  const weights = counted.map((counts) => {
    const weighted = new Map<string, number>();
    for (const [ngram, times] of counts) {
      weighted.set(ngram, times * (logPictures - Math.log(Math.max(1, frequency.get(ngram) ?? 0))));
    }
    return weighted;
  });
  const norms = weights.map((order) =>
    Math.sqrt([...order.values()].reduce((sum, weight) => sum + weight * weight, 0)),
  );
  const length = [...(counted[1]?.values() ?? [])].reduce((sum, times) => sum + times, 0);
  return { weights, norms, length };
}

function compare(candidate: Vector, reference: Vector): number[] {
  const difference = candidate.length - reference.length;
  const penalty = Math.exp(-(difference * difference) / (2 * sigma * sigma));
  return candidate.weights.map((weights, order) => {
    let similarity = 0;
    for (const [ngram, weight] of weights) {
      const other = reference.weights[order]?.get(ngram) ?? 0;
      similarity += Math.min(weight, other) * other;
    }
    const norm = (candidate.norms[order] ?? 0) * (reference.norms[order] ?? 0);
    return (norm === 0 ? similarity : similarity / norm) * penalty;
  });
}

import { firstListOf, longestNgram, mostNgrams, type NgramCounts } from './ngrams.js';
import { listLength, type NumberedSet, type NumberLists } from './number-tokens.js';

/** BLEU-1, -2, -3, -4, each in [0, 1]. */
export type BleuScores = [number, number, number, number];

export interface Bleu {
  /** Of the set: of its sums of counts, hence no mean of the captions' values. */
  readonly corpus: BleuScores;
  /** Of each caption alone. */
  readonly captions: readonly BleuScores[];
}

const tiny = 1e-15;
const small = 1e-9;

interface Counts {
  /** Matches per order, clipped by the most any one reference has. */
  readonly correct: number[];
  /** N-grams of the candidate, per order. */
  readonly guess: number[];
  candidateLength: number;
  /** Length of the reference nearest in length, the shorter one on a tie. */
  referenceLength: number;
}

/**
 * BLEU-1..4 as pycocoevalcap's `Bleu(4)` has it: the closest reference's length, no smoothing but the two constants that
 * keep a quotient finite. A perfect caption therefore scores just under 1.
 */
export function bleu(set: NumberedSet, ngrams: NgramCounts): Bleu {
  const most = new Int32Array(mostNgrams(ngrams));
  const total = noCounts();
  const captions: BleuScores[] = [];
  for (let picture = 0; picture < set.pictures; picture++) {
    const counts = count(set, ngrams, picture, most);
    for (let order = 0; order < longestNgram; order++) {
      total.correct[order] = (total.correct[order] ?? 0) + (counts.correct[order] ?? 0);
      total.guess[order] = (total.guess[order] ?? 0) + (counts.guess[order] ?? 0);
    }
    total.candidateLength += counts.candidateLength;
    total.referenceLength += counts.referenceLength;
    captions.push(score(counts));
  }
  return { corpus: score(total), captions };
}

function noCounts(): Counts {
  return { correct: [0, 0, 0, 0], guess: [0, 0, 0, 0], candidateLength: 0, referenceLength: 0 };
}

/** @param most room for how often each of the picture's n-grams occurs in one reference at most */
function count(set: NumberedSet, ngrams: NgramCounts, picture: number, most: Int32Array): Counts {
  const { firsts, ids, times, starts } = ngrams;
  const candidate = set.firsts[picture] as number;
  const end = set.firsts[picture + 1] as number;
  const counts = noCounts();
  counts.candidateLength = listLength(set.words, candidate);
  counts.referenceLength = closestLength(set.words, candidate, end);
  const firstNgram = firsts[picture * longestNgram] as number;
  most.fill(0, 0, (firsts[(picture + 1) * longestNgram] as number) - firstNgram);
  for (let order = 0; order < longestNgram; order++) {
    const list = firstListOf(set, picture, order);
    const [begin, middle] = [starts[list] as number, starts[list + 1] as number];
    const last = starts[list + end - candidate] as number;
    for (let place = middle; place < last; place++) {
      const at = (ids[place] as number) - firstNgram;
      most[at] = Math.max(most[at] as number, times[place] as number);
    }
    let correct = 0;
    for (let place = begin; place < middle; place++)
      correct += Math.min(times[place] as number, most[(ids[place] as number) - firstNgram] as number);
    counts.correct[order] = correct;
    counts.guess[order] = Math.max(0, counts.candidateLength - order);
  }
  return counts;
}

/** Of the references' lengths, captions `candidate + 1` to `end`, the one nearest to the candidate's; 0 for none. */
function closestLength(words: NumberLists, candidate: number, end: number): number {
  const length = listLength(words, candidate);
  let best = candidate + 1 < end ? listLength(words, candidate + 1) : 0;
  for (let reference = candidate + 2; reference < end; reference++) {
    const other = listLength(words, reference);
    const nearer = Math.abs(other - length) - Math.abs(best - length);
    if (nearer < 0 || (nearer === 0 && other < best)) best = other;
  }
  return best;
}

function score({ correct, guess, candidateLength, referenceLength }: Counts): BleuScores {
  const ratio = (candidateLength + tiny) / (referenceLength + small);
  const brevity = ratio < 1 ? Math.exp(1 - 1 / ratio) : 1;
  const scores: BleuScores = [0, 0, 0, 0];
  let product = 1;
  for (const order of [0, 1, 2, 3] as const) {
    product *= ((correct[order] ?? 0) + tiny) / ((guess[order] ?? 0) + small);
    scores[order] = Math.pow(product, 1 / (order + 1)) * brevity;
  }
  return scores;
}

import { countNgrams, splitWords } from './ngrams.js';

/** One picture to score: the caption made for it and the captions people wrote, all tokenised. */
export interface ScoredCaption {
  readonly candidate: readonly string[];
  readonly references: readonly (readonly string[])[];
}

/** BLEU-1, -2, -3, -4, each in [0, 1]. */
export type BleuScores = [number, number, number, number];

const tiny = 1e-15;
const small = 1e-9;

interface Counts {
  /** Matches per order, clipped by the most any one reference has. */
  correct: [number, number, number, number];
  /** N-grams of the candidate, per order. */
  guess: [number, number, number, number];
  candidateLength: number;
  /** Length of the reference nearest in length, the shorter one on a tie. */
  referenceLength: number;
}

/**
 * Corpus BLEU-1..4 as pycocoevalcap's `Bleu(4)` has it: counts summed over all pictures, the closest reference's length,
 * no smoothing but the two constants that keep a quotient finite. A perfect caption therefore scores just under 1.
 */
export function corpusBleu(captions: readonly ScoredCaption[]): BleuScores {
  const total: Counts = { correct: [0, 0, 0, 0], guess: [0, 0, 0, 0], candidateLength: 0, referenceLength: 0 };
  for (const caption of captions) {
    const counts = count(caption);
    for (const order of [0, 1, 2, 3] as const) {
      total.correct[order] += counts.correct[order];
      total.guess[order] += counts.guess[order];
    }
    total.candidateLength += counts.candidateLength;
    total.referenceLength += counts.referenceLength;
  }
  return score(total);
}

/** BLEU-1..4 of one caption. The corpus value is no mean of these. */
export function captionBleu(caption: ScoredCaption): BleuScores {
  return score(count(caption));
}

/**
 * A score as it is journalled and compared: nine significant digits. Powers and logarithms differ in the last bit between
 * versions of V8, and a decision (rollback, best checkpoint) must not.
 */
export function roundScore(value: number): number {
  return Number(value.toPrecision(9));
}

function count({ candidate, references }: ScoredCaption): Counts {
  const words = splitWords(candidate);
  const referenceWords = references.map((reference) => splitWords(reference));
  const counts: Counts = {
    correct: [0, 0, 0, 0],
    guess: [0, 0, 0, 0],
    candidateLength: words.length,
    referenceLength: closestLength(
      words.length,
      referenceWords.map((reference) => reference.length),
    ),
  };
  for (const order of [0, 1, 2, 3] as const) {
    const most = new Map<string, number>();
    for (const reference of referenceWords) {
      for (const [ngram, times] of countNgrams(reference, order + 1)) {
        most.set(ngram, Math.max(times, most.get(ngram) ?? 0));
      }
    }
    counts.guess[order] = Math.max(0, words.length - order);
    for (const [ngram, times] of countNgrams(words, order + 1)) {
      counts.correct[order] += Math.min(times, most.get(ngram) ?? 0);
    }
  }
  return counts;
}

function closestLength(length: number, references: readonly number[]): number {
  let best = references[0] ?? 0;
  for (const candidate of references) {
    const nearer = Math.abs(candidate - length) - Math.abs(best - length);
    if (nearer < 0 || (nearer === 0 && candidate < best)) best = candidate;
  }
  return best;
}

function score({ correct, guess, candidateLength, referenceLength }: Counts): BleuScores {
  const ratio = (candidateLength + tiny) / (referenceLength + small);
  const brevity = ratio < 1 ? Math.exp(1 - 1 / ratio) : 1;
  const scores: BleuScores = [0, 0, 0, 0];
  let product = 1;
  for (const order of [0, 1, 2, 3] as const) {
    product *= (correct[order] + tiny) / (guess[order] + small);
    scores[order] = Math.pow(product, 1 / (order + 1)) * brevity;
  }
  return scores;
}

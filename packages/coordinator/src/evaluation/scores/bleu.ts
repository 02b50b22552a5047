import { type CountedCaption, type CountedSet, longestNgram } from './ngrams.js';

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
export function bleu({ captions, ngrams }: CountedSet): Bleu {
  const most = new Int32Array(ngrams);
  const total = noCounts();
  const scores = captions.map((caption) => {
    const counts = count(caption, most);
    for (let order = 0; order < longestNgram; order++) {
      total.correct[order] = (total.correct[order] ?? 0) + (counts.correct[order] ?? 0);
      total.guess[order] = (total.guess[order] ?? 0) + (counts.guess[order] ?? 0);
    }
    total.candidateLength += counts.candidateLength;
    total.referenceLength += counts.referenceLength;
    return score(counts);
  });
  return { corpus: score(total), captions: scores };
}

function noCounts(): Counts {
  return { correct: [0, 0, 0, 0], guess: [0, 0, 0, 0], candidateLength: 0, referenceLength: 0 };
}

/** @param most how often each n-gram occurs in one reference at most: zeros on entering and on leaving. */
function count({ candidate, references }: CountedCaption, most: Int32Array): Counts {
  const counts = noCounts();
  counts.candidateLength = candidate.words;
  counts.referenceLength = closestLength(
    candidate.words,
    references.map(({ words }) => words),
  );
  for (const { ids, times } of references)
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as number;
      if ((times[i] as number) > (most[id] as number)) most[id] = times[i] as number;
    }
  let i = 0;
  for (let order = 0; order < longestNgram; order++) {
    let correct = 0;
    for (const end = candidate.ends[order] ?? 0; i < end; i++)
      correct += Math.min(candidate.times[i] as number, most[candidate.ids[i] as number] as number);
    counts.correct[order] = correct;
    counts.guess[order] = Math.max(0, candidate.words - order);
  }
  for (const { ids } of references) for (const id of ids) most[id] = 0;
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
    product *= ((correct[order] ?? 0) + tiny) / ((guess[order] ?? 0) + small);
    scores[order] = Math.pow(product, 1 / (order + 1)) * brevity;
  }
  return scores;
}

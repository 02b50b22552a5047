import type { ScoredCaption } from './ngrams.js';

/** How much more recall counts than precision. */
const beta = 1.2;

/**
 * ROUGE-L of one caption as pycocoevalcap's `Rouge` has it: F of the best precision and the best recall over the
 * references, which may come from two different ones. An empty caption counts as one empty word, so it matches an empty
 * reference.
 */
export function captionRougeL({ candidate, references }: ScoredCaption): number {
  const words = candidate.length === 0 ? [''] : candidate;
  let precision = 0;
  let recall = 0;
  for (const tokens of references) {
    const reference = tokens.length === 0 ? [''] : tokens;
    const common = longestCommonSubsequence(words, reference);
    precision = Math.max(precision, common / words.length);
    recall = Math.max(recall, common / reference.length);
  }
  if (precision === 0 || recall === 0) return 0;
  return ((1 + beta * beta) * precision * recall) / (recall + beta * beta * precision);
}

function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  let row = new Uint32Array(b.length + 1);
  let next = new Uint32Array(b.length + 1);
  for (const word of a) {
    for (let j = 1; j <= b.length; j++) {
      next[j] = word === b[j - 1] ? (row[j - 1] ?? 0) + 1 : Math.max(row[j] ?? 0, next[j - 1] ?? 0);
    }
    [row, next] = [next, row];
  }
  return row[b.length] ?? 0;
}

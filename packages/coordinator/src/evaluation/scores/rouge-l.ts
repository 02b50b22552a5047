import { listLength, type NumberedSet } from './number-tokens.js';

/** How much more recall counts than precision. */
const beta = 1.2;

/**
 * ROUGE-L of each picture's caption as pycocoevalcap's `Rouge` has it: F of the best precision and the best recall over
 * the references, which may come from two different ones. The set's is their mean.
 */
export function rougeL(set: NumberedSet): number[] {
  const row = new Int32Array(set.tokens.items.length + 1);
  return Array.from({ length: set.pictures }, (_, picture) => {
    const candidate = set.firsts[picture] as number;
    const end = set.firsts[picture + 1] as number;
    let precision = 0;
    let recall = 0;
    for (let reference = candidate + 1; reference < end; reference++) {
      const common = longestCommonSubsequence(set, candidate, reference, row);
      precision = Math.max(precision, common / wordsOf(set, candidate));
      recall = Math.max(recall, common / wordsOf(set, reference));
    }
    if (precision === 0 || recall === 0) return 0;
    return ((1 + beta * beta) * precision * recall) / (recall + beta * beta * precision);
  });
}

/** An empty caption counts as one empty word, so it matches an empty reference. */
function wordsOf({ tokens }: NumberedSet, caption: number): number {
  return Math.max(1, listLength(tokens, caption));
}

/** @param row of at least one place more than the second caption has tokens; overwritten */
function longestCommonSubsequence({ tokens }: NumberedSet, a: number, b: number, row: Int32Array): number {
  const [beginA, beginB] = [tokens.starts[a] as number, tokens.starts[b] as number];
  const [lengthA, lengthB] = [listLength(tokens, a), listLength(tokens, b)];
  if (lengthA === 0 && lengthB === 0) return 1;
  row.fill(0, 0, lengthB + 1);
  for (let i = 0; i < lengthA; i++) {
    const token = tokens.items[beginA + i];
    /** Of all tokens of `a` before this one and those of `b` before the place; its neighbour in the table. */
    let diagonal = 0;
    let left = 0;
    for (let j = 1; j <= lengthB; j++) {
      const above = row[j] as number;
      left = token === tokens.items[beginB + j - 1] ? diagonal + 1 : Math.max(above, left);
      row[j] = left;
      diagonal = above;
    }
  }
  return row[lengthB] as number;
}

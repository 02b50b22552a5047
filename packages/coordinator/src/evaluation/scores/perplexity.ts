/**
 * exp of the mean loss a word.
 * @param lossSum natural-log cross entropy summed over `words` (padding left out, `</S>` counted)
 * @returns NaN when there are no words
 */
export function perplexity(lossSum: number, words: number): number {
  return Math.exp(lossSum / words);
}

/**
 * exp of the mean loss a word.
 * @param lossSum natural-log cross entropy summed over `words` (padding left out, `</S>` counted)
 * @returns NaN when there are no words
 */
export function perplexity(lossSum: number, words: number): number {
  return Math.exp(lossSum / words);
}

/**
 * What a model scores that knows only how frequent each word is: the bar that the guard before the joint phase measures
 * the decoder by. Add-one smoothing keeps a validation word that training lacks from making it infinite.
 * @param training occurrences of each word id in the training captions, targets only (`</S>` counted, `<S>` not)
 * @param validation the same of the validation captions
 */
export function unigramPerplexity(training: ArrayLike<number>, validation: ArrayLike<number>): number {
  const words = Math.max(training.length, validation.length);
  let trainingTotal = 0;
  for (let id = 0; id < training.length; id++) trainingTotal += training[id] ?? 0;
  let loss = 0;
  let validationTotal = 0;
  for (let id = 0; id < validation.length; id++) {
    const times = validation[id] ?? 0;
    if (times === 0) continue;
    loss -= times * Math.log(((training[id] ?? 0) + 1) / (trainingTotal + words));
    validationTotal += times;
  }
  return perplexity(loss, validationTotal);
}

import fc from 'fast-check';
import { documentFrequencies } from '@showtell/coordinator/evaluation/scores/document-frequency.js';
import {
  countNgrams,
  firstListOf,
  longestNgram,
  type NgramCounts,
} from '@showtell/coordinator/evaluation/scores/ngrams.js';
import { numberTokens, type ScoredCaption } from '@showtell/coordinator/evaluation/scores/number-tokens.js';
import { describe, expect, it } from 'vitest';

/** Few different words, so that captions and pictures share n-grams; one token is two words, one none. */
const caption = fc.array(fc.constantFrom('a', 'b', 'c', 'd', '2\u00a01/2', '\u00a0'), { maxLength: 9 });
const sets = fc.array(fc.record({ candidate: caption, references: fc.array(caption, { maxLength: 4 }) }), {
  maxLength: 8,
});

function wordsOf(tokens: readonly string[]): string[] {
  return tokens.flatMap((token) => token.split('\u00a0')).filter((word) => word !== '');
}

/** A caption's n-grams of an order (0 for single words), as text, and how often it has each. */
function counted(tokens: readonly string[], order: number): Map<string, number> {
  const words = wordsOf(tokens);
  const times = new Map<string, number>();
  for (let at = 0; at + order < words.length; at++) {
    const ngram = words.slice(at, at + order + 1).join(' ');
    times.set(ngram, (times.get(ngram) ?? 0) + 1);
  }
  return times;
}

/** The words of each n-gram, for numbers that stand for texts in the order in which those came. */
function textsOf({ prefixes, lastWords, firsts }: NgramCounts, words: readonly string[]): string[] {
  const texts = [''];
  for (let id = 1; id < (firsts.at(-1) ?? 0); id++)
    texts.push([texts[prefixes[id] ?? 0] ?? '', words[lastWords[id] ?? 0] ?? ''].join(' ').trim());
  return texts;
}

function numberedWords(set: readonly ScoredCaption[]): string[] {
  const numbers = new Set<string>();
  for (const { candidate, references } of set)
    for (const tokens of [candidate, ...references])
      for (const token of tokens) {
        numbers.add(token);
        for (const word of wordsOf([token])) numbers.add(word);
      }
  return [...numbers];
}

describe('n-grams', () => {
  it('are counted in each caption as one would by hand', () => {
    fc.assert(
      fc.property(sets, (captions) => {
        const set = numberTokens(captions);
        const counts = countNgrams(set);
        const texts = textsOf(counts, numberedWords(captions));
        for (const [picture, { candidate, references }] of captions.entries())
          for (let order = 0; order < longestNgram; order++)
            for (const [i, tokens] of [candidate, ...references].entries()) {
              const list = firstListOf(set, picture, order) + i;
              const [begin, end] = [counts.starts[list] ?? 0, counts.starts[list + 1] ?? 0];
              const found = new Map<string, number>();
              for (let place = begin; place < end; place++)
                found.set(texts[counts.ids[place] ?? 0] ?? '', counts.times[place] ?? 0);
              expect(found).toEqual(counted(tokens, order));
              expect(found.size).toBe(end - begin);
            }
      }),
    );
  });

  it('have as document frequency the number of pictures whose references have them, one at least', () => {
    fc.assert(
      fc.property(sets, (captions) => {
        const set = numberTokens(captions);
        const counts = countNgrams(set);
        const texts = textsOf(counts, numberedWords(captions));
        const frequencies = documentFrequencies(set, counts);
        const having = (text: string): number =>
          captions.filter(({ references }) =>
            references.some((tokens) => counted(tokens, text.split(' ').length - 1).has(text)),
          ).length;
        for (let id = 1; id < texts.length; id++) expect(frequencies[id]).toBe(Math.max(1, having(texts[id] ?? '')));
      }),
    );
  });
});

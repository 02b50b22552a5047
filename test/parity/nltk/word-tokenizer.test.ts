import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { captionWords, tokenizeWords } from '@showtell/coordinator/data/tokenize.js';

const cases = JSON.parse(readFileSync(new URL('word-tokenizer.json', import.meta.url), 'utf8')) as {
  caption: string;
  words: string[];
}[];

describe('words as NLTK splits them', () => {
  it(`are NLTK's on ${cases.length} captions`, () => {
    expect(cases.length).toBeGreaterThan(1000);
    const here = cases.map(({ caption }) => ({ caption, words: tokenizeWords(caption) }));
    expect(here).toEqual(cases);
  });

  it('stand between <S> and </S> in a record', () => {
    expect(captionWords("The cat's toy.")).toEqual(['<S>', 'the', 'cat', "'s", 'toy', '.', '</S>']);
  });

  it('of a very long caption are found in time that grows with its length', () => {
    const begun = process.cpuUsage();
    tokenizeWords(`${'('.repeat(20_000)}. ${'a. '.repeat(20_000)} ${"'".repeat(20_000)}${' '.repeat(20_000)}.`);
    // Of this process alone, whatever runs beside it.
    expect(process.cpuUsage(begun).user / 1e6).toBeLessThan(5);
  });
});

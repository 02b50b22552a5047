import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { countWords, formatWordCounts, makeVocabulary, readVocabulary } from '@showtell/shared/data/vocabulary.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

describe('the vocabulary', () => {
  const captions = [
    ['<S>', 'b', 'a', 'c', '</S>'],
    ['<S>', 'a', 'b', 'd', '</S>'],
  ];

  it('counts as im2txt: by falling count, ties as first seen, rare words left out, no newline at the end', () => {
    expect(formatWordCounts(countWords(captions, 2))).toBe('<S> 2\nb 2\na 2\n</S> 2');
    expect(formatWordCounts(countWords(captions, 1)).split('\n').slice(4)).toEqual(['c 1', 'd 1']);
  });

  it('gives each word its line as its id and <UNK> the next', async () => {
    const file = join(temporaryFolder(), 'word_counts.txt');
    writeFileSync(file, formatWordCounts(countWords(captions, 2)));
    const vocabulary = await readVocabulary(file);
    expect(vocabulary).toMatchObject({ size: 5, startId: 0, endId: 3, unkId: 4 });
    expect(['<S>', 'a', 'zebra', '<UNK>'].map((word) => vocabulary.id(word))).toEqual([0, 2, 4, 4]);
    expect([1, 4, 5, 11_999, -1].map((id) => vocabulary.word(id))).toEqual(['b', '<UNK>', '<UNK>', '<UNK>', '<UNK>']);
    expect(vocabulary.sha256).toBe(createHash('sha256').update('<S>\nb\na\n</S>\n<UNK>\n').digest('hex'));
  });

  it('has a hash of words, not of counts', () => {
    const words = ['<S>', '</S>', 'a'];
    expect(makeVocabulary(words).sha256).toBe(makeVocabulary([...words, '<UNK>']).sha256);
    expect(makeVocabulary(['<S>', 'a', '</S>']).sha256).not.toBe(makeVocabulary(words).sha256);
  });

  it.each([
    ['a line without a count', '<S> 3\n</S>\n', /line 2 is "<\/S>"/],
    ['no <S>', 'a 3\n</S> 2', /it has no <S>/],
    ['a word twice', '<S> 3\na 2\n</S> 3\na 1', /"a" stands in line 2 and in line 4/],
    ['Python 3 byte strings with a count missing', "b'a'", /line 1 is "b'a'"/],
  ])('refuses %s', async (_, text, message) => {
    const file = join(temporaryFolder(), 'word_counts.txt');
    writeFileSync(file, text);
    await expect(readVocabulary(file)).rejects.toThrow(message);
    await expect(readVocabulary(file)).rejects.toMatchObject({ code: 'data/vocabulary-unreadable' });
  });
});

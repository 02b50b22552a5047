import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ShowtellError } from '../errors.js';

export const START_WORD = '<S>';
export const END_WORD = '</S>';
const UNKNOWN_WORD = '<UNK>';

/**
 * Words and their ids as im2txt has them: the id is the line in word_counts.txt, counted from 0, and the id after the
 * last line is `<UNK>`. A model's table may be larger; ids beyond `size` print as `<UNK>` too.
 */
export interface Vocabulary {
  /** Lines of the file and `<UNK>`. */
  readonly size: number;
  readonly startId: number;
  readonly endId: number;
  readonly unkId: number;
  /** Of the words in the order of their ids, `<UNK>` last, each followed by a newline: counts don't enter. */
  readonly sha256: string;
  word(id: number): string;
  id(word: string): number;
}

/** @throws ShowtellError `data/vocabulary-unreadable` when `<S>` or `</S>` is missing or a word stands twice */
export function makeVocabulary(words: readonly string[], file = 'word_counts.txt'): Vocabulary {
  const unreadable = (detail: string) => new ShowtellError('data/vocabulary-unreadable', { file, detail });
  // im2txt writes no <UNK> line; where someone did, it keeps its id.
  const table = words.includes(UNKNOWN_WORD) ? [...words] : [...words, UNKNOWN_WORD];
  const ids = new Map<string, number>();
  for (const [id, word] of table.entries()) {
    if (ids.has(word)) throw unreadable(`"${word}" stands in line ${(ids.get(word) ?? 0) + 1} and in line ${id + 1}`);
    ids.set(word, id);
  }
  const idOf = (word: string): number => {
    const id = ids.get(word);
    if (id === undefined) throw unreadable(`it has no ${word}`);
    return id;
  };
  const unkId = idOf(UNKNOWN_WORD);
  const hash = createHash('sha256');
  for (const word of table) hash.update(`${word}\n`);
  return {
    size: table.length,
    startId: idOf(START_WORD),
    endId: idOf(END_WORD),
    unkId,
    sha256: hash.digest('hex'),
    word: (id) => table[id] ?? UNKNOWN_WORD,
    id: (word) => ids.get(word) ?? unkId,
  };
}

/**
 * Reads im2txt's word_counts.txt, "word count" a line.
 * @throws ShowtellError `file/missing`, `data/vocabulary-unreadable`
 */
export async function readVocabulary(file: string): Promise<Vocabulary> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ShowtellError('file/missing', { file, what: 'The vocabulary' }, { cause });
  });
  return parseVocabulary(text, file);
}

/** The vocabulary of a file's text. @throws ShowtellError `data/vocabulary-unreadable` */
export function parseVocabulary(text: string, file: string): Vocabulary {
  const words: string[] = [];
  for (const [number, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const [word = '', count = '', ...rest] = line.trim().split(/\s+/);
    if (!/^\d+$/.test(count) || rest.length > 0) {
      const detail = `line ${number + 1} is "${line.slice(0, 60)}", not a word and its count`;
      throw new ShowtellError('data/vocabulary-unreadable', { file, detail });
    }
    words.push(word);
  }
  return makeVocabulary(words, file);
}

/** A word and how often the training captions have it. */
interface WordCount {
  readonly word: string;
  readonly count: number;
}

/**
 * Counts words as im2txt does: those seen at least `minCount` times, by falling count, ties in the order first seen.
 */
export function countWords(captions: Iterable<readonly string[]>, minCount: number): WordCount[] {
  const counts = new Map<string, number>();
  for (const words of captions) for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count >= minCount)
    .map(([word, count]) => ({ word, count }))
    .sort((a, b) => b.count - a.count);
}

/** word_counts.txt to the byte as im2txt writes it: no newline after the last line. */
export function formatWordCounts(counts: readonly WordCount[]): string {
  return counts.map(({ word, count }) => `${word} ${count}`).join('\n');
}

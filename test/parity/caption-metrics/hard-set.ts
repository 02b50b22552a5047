import { random } from '@showtell/shared/random.js';
import { captions } from './material.js';

/**
 * Captions that try scorers: of the committed sets' own captions (unicode, numbers, quotes, brackets, empty ones), mixed
 * anew into pictures with one to seven references; candidates empty, one word, a reference itself, many captions joined,
 * one word or phrase again and again; pictures that are the same as others.
 */
export function hardSet(pictures: number, seed: number): { id: number; references: string[]; candidate: string }[] {
  const drawn = random(seed, 'hard captions');
  const all = captions.datasets.flatMap(({ images }) =>
    images.flatMap(({ candidate, references }) => [candidate, ...references]),
  );
  const pick = <T>(items: readonly T[]): T => items[drawn.integer(items.length)] as T;
  const many = (count: number): string[] => Array.from({ length: count }, () => pick(all));
  const kinds: ((references: readonly string[]) => string)[] = [
    () => '',
    () => pick(['.', '   ', '!!', '…', 'a', '犬', '2 1/2', 'é']),
    (references) => pick(references),
    (references) => references.join(' '),
    () => many(40).join(' and '),
    () => Array(30).fill('the').join(' '),
    (references) => Array(5).fill(pick(references)).join(' '),
    (references) => pick(references).split(' ').reverse().join(' '),
    () => pick(all),
  ];
  const set: { id: number; references: string[]; candidate: string }[] = [];
  for (let id = 1; id <= pictures; id++) {
    const references = set.length > 0 && drawn.integer(10) === 0 ? pick(set).references : many(1 + drawn.integer(7));
    set.push({ id: id * 7, references: [...references], candidate: pick(kinds)(references) });
  }
  return set;
}

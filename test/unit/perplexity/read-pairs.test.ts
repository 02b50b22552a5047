import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { encodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { frameRecord } from '@showtell/shared/data/tfrecord.js';
import { makeVocabulary } from '@showtell/shared/data/vocabulary.js';
import { readPairs } from '@showtell/worker/perplexity/read-pairs.js';
import { recordFiles } from '@showtell/worker/perplexity/record-files.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

// Ids: a 0, <S> 1, </S> 2, cat 3, <UNK> 4; a table of 6 rows.
const rules = { vocabulary: makeVocabulary(['a', '<S>', '</S>', 'cat']), rows: 6 };

function file(...pairs: (readonly [string, number])[][]): string {
  const path = join(temporaryFolder(), 'records');
  const records = pairs.map((pair, i) =>
    frameRecord(
      encodeCaptionExample({
        imageId: i,
        jpeg: Uint8Array.of(1, 2, 3),
        words: pair.map(([word]) => word),
        ids: Int32Array.from(pair, ([, id]) => id),
      }),
    ),
  );
  writeFileSync(path, Buffer.concat(records));
  return path;
}

async function idsIn(...files: string[]): Promise<number[][]> {
  const all: number[][] = [];
  for await (const { ids } of readPairs(files, rules)) all.push([...ids]);
  return all;
}

const cat = [
  ['<S>', 1],
  ['a', 0],
  ['cat', 3],
  ['</S>', 2],
] as const;

it('reads pairs in order; a word the vocabulary lacks has the id of <UNK>', async () => {
  const strange = [
    ['<S>', 1],
    ['axolotl', 4],
    ['</S>', 2],
  ] as const;
  expect(await idsIn(file([...cat], [...strange]), file([...cat]))).toEqual([
    [1, 0, 3, 2],
    [1, 4, 2],
    [1, 0, 3, 2],
  ]);
});

it.each([
  [
    'an id beyond the table',
    [
      ['<S>', 1],
      ['dog', 6],
      ['</S>', 2],
    ],
    'perplexity/unknown-word',
    'has the word id 6 ("dog")',
  ],
  [
    'an id of another word',
    [
      ['<S>', 1],
      ['cat', 0],
      ['</S>', 2],
    ],
    'perplexity/other-words',
    'has the id 0 for "cat", which is "a"',
  ],
  [
    'an id behind the last word',
    [
      ['<S>', 1],
      ['dog', 5],
      ['</S>', 2],
    ],
    'perplexity/other-words',
    'which is "<UNK>"',
  ],
  [
    'a known word as <UNK>',
    [
      ['<S>', 1],
      ['cat', 4],
      ['</S>', 2],
    ],
    'perplexity/other-words',
    'for "cat"',
  ],
  ['no word', [['<S>', 1]], 'data/record-malformed', 'its caption has no word'],
] as const)('refuses %s, naming file and record', async (_, pair, code, text) => {
  const path = file([...cat], [...pair]);
  await expect(idsIn(path)).rejects.toMatchObject({ code, message: expect.stringContaining(text) as unknown });
  await expect(idsIn(path)).rejects.toThrow(`Record 1 of ${path}`);
});

it('refuses a record whose bytes do not have the CRC they state', async () => {
  const path = file([...cat], [...cat]);
  const bytes = readFileSync(path);
  bytes[bytes.length - 20]! ^= 1;
  writeFileSync(path, bytes);
  await expect(idsIn(path)).rejects.toMatchObject({
    code: 'data/shard-unreadable',
    message: expect.stringContaining('record 1, at byte') as unknown,
  });
});

it('finds files by patterns, without indexes, each once', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'a1'));
  mkdirSync(join(folder, 'a2'));
  const files = ['a1/val-0', 'a1/val-0.index', 'a1/val-1', 'a1/val-1.index', 'a1/.val-2', 'a2/val-0', 'a2/train+[x]'];
  for (const name of files) writeFileSync(join(folder, name), '');
  const found = (...patterns: string[]): string[] =>
    recordFiles(patterns.map((pattern) => pattern.replaceAll('@', folder))).map((path) =>
      path.slice(folder.length + 1),
    );
  expect(found('@/a1/val-*')).toEqual(['a1/val-0', 'a1/val-1']);
  expect(found('@/a1/val-*', '@/a?/val-0')).toEqual(['a1/val-0', 'a1/val-1', 'a2/val-0']);
  expect(found('@/a[2-9]/val-0, @/a1/val-[!0]')).toEqual(['a2/val-0', 'a1/val-1']);
  expect(found('@/a2/train+[x]')).toEqual(['a2/train+[x]']);
  expect(found('@/a2/*+*')).toEqual(['a2/train+[x]']);
  for (const nothing of ['@/a1/test-*', '@/a1', '@/a1/val-0/x*', '', '@/a1/VAL-0'])
    expect(() => found(nothing)).toThrow(expect.objectContaining({ code: 'perplexity/no-records' }));
});

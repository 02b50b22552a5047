import { describe, expect, it, vi } from 'vitest';
import { random } from '@showtell/shared/random.js';
import { corpusOf } from './corpus.js';
import { mutate } from './mutate.js';
import { check, type FuzzTarget } from './target.js';
import { targetNamed, targetNames } from './targets.js';

/** Of each file of the corpus; slower targets take fewer. */
const mutations: Readonly<Record<string, number>> = { 'picture-decode': 50, 'serve-http': 60, 'page-http': 60 };
const usualMutations = 300;

/** No input takes a millisecond; what takes half a minute hangs, on whatever machine. */
const mostMs = 30_000;
vi.setConfig({ testTimeout: 300_000 });

async function checked(target: FuzzTarget, input: Buffer): Promise<void> {
  const began = performance.now();
  try {
    await check(target, input);
  } catch (cause) {
    throw new Error(`${target.name} on ${input.toString('base64')}`, { cause });
  }
  expect(performance.now() - began, input.toString('base64')).toBeLessThan(mostMs);
}

describe.each(targetNames)('%s', async (name) => {
  const target = await targetNamed(name);
  const corpus = corpusOf(name);
  const seeds = Object.entries(target.seeds());

  it('has its seeds in the corpus as make-seeds.ts writes them', () => {
    const kept = new Map(corpus.map((file) => [file.name, file.bytes]));
    expect(seeds.length).toBeGreaterThan(0);
    for (const [seed, bytes] of seeds) expect(kept.get(`seed-${seed}`)?.equals(bytes), seed).toBe(true);
  });

  it('gives a value or an error of the table for every file of the corpus', async () => {
    for (const { bytes } of corpus) await checked(target, bytes);
  });

  it('and for files changed in places', async () => {
    const all = corpus.map(({ bytes }) => bytes);
    const draw = random(7, 'fuzz', name);
    for (const { bytes } of corpus)
      for (let i = 0; i < (mutations[name] ?? usualMutations); i++) await checked(target, mutate(bytes, all, draw));
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BeamOptions, type Caption, type NextWords, beamSearch } from '@showtell/worker/model/beam-search.js';

/** Word → the next words' probabilities. */
type Chain = Readonly<Record<number, Readonly<Record<number, number>>>>;

/** The chain of im2txt's caption_generator_test: 12 words, 0 starts a caption, 1 ends it. */
const im2txt: Chain = {
  0: { 1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4 },
  2: { 5: 0.1, 6: 0.9 },
  3: { 1: 0.1, 7: 0.4, 8: 0.5 },
  4: { 1: 0.3, 9: 0.3, 10: 0.4 },
  5: { 1: 1 },
  6: { 1: 1 },
  7: { 1: 1 },
  8: { 1: 1 },
  9: { 1: 0.5, 11: 0.5 },
  10: { 1: 1 },
  11: { 1: 1 },
};
const options: BeamOptions = { start: 0, end: 1, width: 3, maxLength: 20, lengthNormalization: 0 };

/** Likeliest next words of chains, one an image; `rows` remembers which image each row of the last call belongs to. */
function sayer(chains: readonly Chain[], vocabulary: number, width: number): { next: NextWords; calls: number[] } {
  let rows = chains.map((_, image) => image);
  const calls: number[] = [];
  const next: NextWords = async (words, parents) => {
    rows = Array.from(parents, (parent) => rows[parent]!);
    calls.push(words.length);
    const likeliest = Array.from(words, (word, i) =>
      Array.from({ length: vocabulary }, (_, id) => ({ id, p: chains[rows[i]!]![word]?.[id] ?? 0 }))
        .sort((a, b) => b.p - a.p || a.id - b.id)
        .slice(0, width),
    ).flat();
    return {
      words: Int32Array.from(likeliest, ({ id }) => id),
      probabilities: Float32Array.from(likeliest, ({ p }) => p),
    };
  };
  return { next, calls };
}

async function search(
  change: Partial<BeamOptions> = {},
  chains: readonly Chain[] = [im2txt],
): Promise<[number[], number][][]> {
  const chosen = { ...options, ...change };
  const found = await beamSearch(chains.length, sayer(chains, 12, chosen.width).next, chosen);
  return found.map((captions) =>
    captions.map(({ words, logprob }) => [[...words], Number(Math.exp(logprob).toFixed(6))]),
  );
}

describe('beam search', () => {
  it('finds what im2txt finds at each width', async () => {
    expect(await search({ width: 1 })).toEqual([[[[4, 10], 0.16]]]);
    expect(await search({ width: 2 })).toEqual([
      [
        [[4, 10], 0.16],
        [[3, 8], 0.15],
      ],
    ]);
    expect(await search({ width: 3 })).toEqual([
      [
        [[2, 6], 0.18],
        [[4, 10], 0.16],
        [[3, 8], 0.15],
      ],
    ]);
  });

  it('gives partial captions, with their last word, only where none is complete', async () => {
    expect(await search({ maxLength: 1 })).toEqual([[[[], 1]]]);
    expect(await search({ maxLength: 2 })).toEqual([
      [
        [[4], 0.4],
        [[3], 0.3],
        [[2], 0.2],
      ],
    ]);
    expect(await search({ maxLength: 3 })).toEqual([
      [
        [[4], 0.12],
        [[3], 0.03],
      ],
    ]);
    expect(await search({ maxLength: 4 })).toEqual([
      [
        [[2, 6], 0.18],
        [[4, 10], 0.16],
        [[3, 8], 0.15],
      ],
    ]);
  });

  it('says which captions are complete', async () => {
    const complete = async (maxLength: number) =>
      (await beamSearch(1, sayer([im2txt], 12, 3).next, { ...options, maxLength }))[0]!.map(
        (caption) => caption.complete,
      );
    expect(await complete(2)).toEqual([false, false, false]);
    expect(await complete(3)).toEqual([true, true]);
  });

  it('favours long captions when told to', async () => {
    expect(await search({ width: 4, lengthNormalization: 3 })).toEqual([
      [
        [[4, 9, 11], 0.06],
        [[2, 6], 0.18],
        [[4, 10], 0.16],
        [[3, 8], 0.15],
      ],
    ]);
  });

  it('takes 19 steps for 20 words and does not stop early', async () => {
    const loop: Chain = { 0: { 2: 0.6, 1: 0.4 }, 2: { 2: 0.6, 1: 0.4 } };
    const { next, calls } = sayer([loop], 12, 3);
    const [captions] = await beamSearch(1, next, options);
    expect(calls).toHaveLength(19);
    expect(captions!.map(({ words }) => words.length)).toEqual([0, 1, 2]);
  });

  it('stops when no partial caption is left', async () => {
    const { next, calls } = sayer([{ 0: { 2: 1 }, 2: { 1: 1 } }], 12, 3);
    expect((await beamSearch(1, next, options))[0]!.map(({ words }) => words)).toEqual([[2]]);
    expect(calls).toEqual([1, 1]);
  });

  it('skips words of a probability below 1e-12, and takes the lower id of equals', async () => {
    expect(await search({}, [{ 0: { 5: 0.5, 3: 0.5, 7: 1e-13 }, 3: { 1: 1 }, 5: { 1: 1 } }])).toEqual([
      [
        [[3], 0.5],
        [[5], 0.5],
      ],
    ]);
  });

  it('finds the same for images alone and together', async () => {
    const chain = fc
      .array(fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 12, maxLength: 12 }), {
        minLength: 12,
        maxLength: 12,
      })
      .map((rows): Chain =>
        Object.fromEntries(
          rows.map((row, word) => {
            const total = row.reduce((a, b) => a + b, 0) || 1;
            return [word, Object.fromEntries(row.map((n, id) => [id, n / total]))];
          }),
        ),
      );
    await fc.assert(
      fc.asyncProperty(
        fc.array(chain, { minLength: 2, maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        async (chains, width) => {
          const together = await search({ width, maxLength: 7 }, chains);
          const alone = await Promise.all(chains.map((one) => search({ width, maxLength: 7 }, [one])));
          expect(together).toEqual(alone.flat());
        },
      ),
      { numRuns: 50 },
    );
  });

  it('tells how likely each word was, the end among them, which together are the caption', async () => {
    const found = await beamSearch(1, sayer([im2txt], 12, 3).next, { ...options, width: 3 });
    for (const { words, complete, logprob, wordProbabilities } of found.flat()) {
      expect(wordProbabilities).toHaveLength(words.length + (complete ? 1 : 0));
      expect(wordProbabilities.reduce((sum, p) => sum + Math.log(p), 0)).toBeCloseTo(logprob, 6);
    }
  });

  it('finds the best captions there are when the beam is wide', async () => {
    const all: Caption[] = [];
    const extend = (words: number[], logprob: number): void => {
      for (const [word, p] of Object.entries(im2txt[words.at(-1) ?? 0] ?? {}))
        if (word === '1')
          all.push({ words, complete: true, logprob: logprob + Math.log(p), wordProbabilities: [], score: 0 });
        else extend([...words, Number(word)], logprob + Math.log(p));
    };
    extend([], 0);
    const expected = all.sort((a, b) => b.logprob - a.logprob).map(({ logprob }) => logprob);
    const [found] = await beamSearch(1, sayer([im2txt], 12, 12).next, { ...options, width: 12 });
    expect(found).toHaveLength(all.length);
    found!.forEach(({ logprob }, i) => expect(logprob).toBeCloseTo(expected[i]!, 6));
  });
});

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readVocabulary } from '@showtell/shared/data/vocabulary.js';
import type { Engine } from '@showtell/worker/engine/engine.js';
import { tensorflowEngine } from '@showtell/worker/engine/tensorflow/engine.js';
import { chooseEngine } from '@showtell/worker/engine/choose-engine.js';
import { openImageDecoder } from '@showtell/worker/input/decode-image.js';
import { inputRulesOf } from '@showtell/worker/input/input-rules.js';
import { drawImage } from '@showtell/worker/input/prepare-unit.js';
import { beamSearch, type NextWords } from '@showtell/worker/model/beam-search.js';
import { captionFeatures } from '@showtell/worker/units/evaluate-unit.js';
import { haveTensorflow, tensorflow } from '../../support/tensorflow.js';
import { formulaParameters, here, jobOf, type Shape } from './checkpoint.js';

interface Found {
  /** From the start on, with the end where it was said. */
  readonly words: number[];
  readonly logprob: number;
  readonly score: number;
}
interface Search<F> {
  readonly width: number;
  readonly maxLength: number;
  readonly lengthNormalization: number;
  readonly captions: F[];
}
const { shape, chains, searches, model } = JSON.parse(readFileSync(here('beam-search.json'), 'utf8')) as {
  shape: Shape;
  chains: Record<string, { words: number; table: string }>;
  searches: (Search<Found> & { chain: string })[];
  model: (Search<Found & { caption: string }> & { picture: string })[];
};

/** The likeliest next words of a table of probabilities, among equals the lower id. */
function sayer(name: string, width: number): NextWords {
  const { words: V, table } = chains[name]!;
  const p = new Float32Array(Uint8Array.from(Buffer.from(table, 'base64')).buffer);
  return async (last) => {
    const next = Array.from(last, (word) =>
      Array.from({ length: V }, (_, id) => ({ id, p: p[word * V + id]! }))
        .sort((a, b) => b.p - a.p || a.id - b.id)
        .slice(0, width),
    ).flat();
    return {
      words: Int32Array.from(next, ({ id }) => id),
      probabilities: Float32Array.from(next, ({ p }) => p),
    };
  };
}

const title = ({ width, maxLength, lengthNormalization }: Search<unknown>): string =>
  `width ${width}, ${maxLength} words, normalised by ${lengthNormalization}`;

/**
 * Each word and the next, sorted. A chain's captions that go its loops in another order are equally likely, and which
 * comes first hangs on the last bit of a logarithm; those of "ties" are powers of two, whose logarithms are exact.
 */
function pairs(words: readonly number[]): string[] {
  return words.flatMap((word, i) => (i === 0 ? [] : [`${words[i - 1] ?? ''} ${word}`])).sort();
}

describe("im2txt's CaptionGenerator, before pull 6255, finds", () => {
  it.each(Object.keys(chains))('on the chain "%s" the same captions in the same order', async (chain) => {
    const of = searches.filter((search) => search.chain === chain);
    expect(of).toHaveLength(10);
    for (const search of of) {
      const { width, maxLength, lengthNormalization, captions } = search;
      const options = { start: 0, end: 1, width, maxLength, lengthNormalization };
      const [found = []] = await beamSearch(1, sayer(chain, width), options);
      const words = found.map((caption) => [0, ...caption.words, ...(caption.complete ? [1] : [])]);
      const expected = captions.map((caption) => caption.words);
      if (chain.startsWith('random')) expect(words.map(pairs), title(search)).toEqual(expected.map(pairs));
      else expect(words, title(search)).toEqual(expected);
      for (const [i, { logprob, score }] of found.entries()) {
        expect(logprob).toBeCloseTo(captions[i]!.logprob, 11);
        expect(score).toBeCloseTo(captions[i]!.score, 11);
      }
    }
  });
});

describe.skipIf(!haveTensorflow)(
  "im2txt's InferenceWrapper and CaptionGenerator, on pictures (needs the engine: showtell engine setup)",
  () => {
    const job = jobOf(shape, { evaluation: { beam: 5 } });
    let engine: Engine;
    beforeAll(async () => {
      engine = tensorflowEngine(tensorflow(), chooseEngine(job).options);
      const { parameters } = formulaParameters(job);
      await engine.setParameters(parameters, { decoder: 0, embedding: 0, encoder: 0, statistics: 0 });
    });
    afterAll(() => engine.close());

    it.each([...new Set(model.map(({ picture }) => picture))])(
      '%s: the same captions, log-probabilities within 1e-4 + 1e-4·|x|',
      async (picture) => {
        const vocabulary = await readVocabulary(here('word_counts.txt'));
        const tools = { rules: inputRulesOf(job, vocabulary.unkId), decoder: openImageDecoder('cpu') };
        const features = await engine.features(
          await drawImage(readFileSync(here(picture)), picture, null, 0, tools),
          1,
        );
        for (const search of model.filter((one) => one.picture === picture)) {
          const { width, maxLength, lengthNormalization, captions } = search;
          const how = { vocabulary, width, maxLength, lengthNormalization };
          const [found = []] = await captionFeatures(engine, features, 1, how);
          expect(
            found.map(({ caption }) => caption),
            title(search),
          ).toEqual(captions.map(({ caption }) => caption));
          for (const [i, { logProbability }] of found.entries()) {
            const expected = captions[i]!.logprob;
            expect(Math.abs(logProbability - expected)).toBeLessThan(1e-4 + 1e-4 * Math.abs(expected));
          }
        }
      },
    );
  },
);

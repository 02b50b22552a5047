import type { Vocabulary } from '@showtell/shared/data/vocabulary.js';
import type { RecordEvaluation, ScoredCaption } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { DecoderState, Engine } from '../engine/engine.js';
import type { PreparedUnit } from '../input/prepare-unit.js';
import { beamSearch, type NextWords } from '../model/beam-search.js';

/** Each record's loss in inference mode, in the unit's order. */
export async function evaluateLosses(
  engine: Engine,
  unit: PreparedUnit,
  features: Float32Array,
  records: number,
): Promise<RecordEvaluation[]> {
  const results = blankResults(records);
  if (unit.places.length === 0) return results;
  const { lossSums, tokens } = await engine.evaluate({ ...unit.captions, features });
  for (const [b, place] of unit.places.entries()) {
    results[place] = {
      imageId: unit.pictureKeys[b]?.imageId ?? 0,
      skipped: false,
      lossSum: lossSums[b] ?? 0,
      tokens: tokens[b] ?? 0,
      captions: [],
    };
  }
  return results;
}

export interface CaptionOptions {
  readonly vocabulary: Vocabulary;
  readonly width: number;
  readonly maxLength: number;
  readonly lengthNormalization: number;
}

/** Captions of each record's picture by beam search, best first, in the unit's order. */
export async function evaluateCaptions(
  engine: Engine,
  unit: PreparedUnit,
  features: Float32Array,
  records: number,
  options: CaptionOptions,
): Promise<RecordEvaluation[]> {
  const results = blankResults(records);
  if (unit.places.length === 0) return results;
  const captions = await captionFeatures(engine, features, unit.places.length, options);
  for (const [b, place] of unit.places.entries()) {
    const imageId = unit.pictureKeys[b]?.imageId ?? 0;
    results[place] = { imageId, skipped: false, lossSum: 0, tokens: 0, captions: captions[b] ?? [] };
  }
  return results;
}

/** Captions of `n` images from their features `[n, F]`, best first. */
export async function captionFeatures(
  engine: Engine,
  features: Float32Array,
  n: number,
  { vocabulary, width, maxLength, lengthNormalization }: CaptionOptions,
): Promise<ScoredCaption[][]> {
  let state = await engine.decodeStart(features, n);
  const units = state.c.length / n;
  const next: NextWords = async (words, parents) => {
    const step = await engine.decodeStep(words, rowsOf(state, parents, units), width);
    state = step;
    return step;
  };
  const found = await beamSearch(n, next, {
    start: vocabulary.startId,
    end: vocabulary.endId,
    width,
    maxLength,
    lengthNormalization,
  });
  return found.map((captions) =>
    captions.map(({ words, logprob, wordProbabilities }) => ({
      caption: words.map((id) => vocabulary.word(id)).join(' '),
      logProbability: logprob,
      wordProbabilities: [...wordProbabilities],
    })),
  );
}

/** The states that partial captions continue, a row each. */
function rowsOf({ c, h }: DecoderState, parents: Int32Array, units: number): DecoderState {
  const rows = { c: new Float32Array(parents.length * units), h: new Float32Array(parents.length * units) };
  for (const [row, parent] of parents.entries()) {
    rows.c.set(c.subarray(parent * units, (parent + 1) * units), row * units);
    rows.h.set(h.subarray(parent * units, (parent + 1) * units), row * units);
  }
  return rows;
}

function blankResults(records: number): RecordEvaluation[] {
  return Array.from({ length: records }, () => ({ imageId: 0, skipped: true, lossSum: 0, tokens: 0, captions: [] }));
}

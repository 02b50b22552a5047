import { readFileSync } from 'node:fs';
import type { ScoredCaption } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { chooseEngine } from '@showtell/worker/engine/choose-engine.js';
import type { DecoderState } from '@showtell/worker/engine/engine.js';
import type { Engine } from '@showtell/worker/engine/engine.js';
import { tensorflowEngine } from '@showtell/worker/engine/tensorflow/engine.js';
import { loadCheckpoint } from '@showtell/worker/caption/load-checkpoint.js';
import { openImageDecoder } from '@showtell/worker/input/decode-image.js';
import { inputRulesOf } from '@showtell/worker/input/input-rules.js';
import { drawImage } from '@showtell/worker/input/prepare-unit.js';
import { captionFeatures } from '@showtell/worker/units/evaluate-unit.js';
import { tensorflow } from '../../support/tensorflow.js';

/** What a captioner tells of pictures. */
export interface Computed {
  /** A row a picture. */
  readonly features: number[][];
  /** By picture and caption: of each word after the first, the logarithm of its probability. */
  readonly logprobs: number[][][];
  /** By picture, by beam search, best first. */
  readonly captions: { readonly caption: string; readonly logprob: number }[][];
}

/** The same from a checkpoint of showtell's. @param captions ids of words, from <S> on */
export async function computedBy(
  checkpoint: string,
  pictures: readonly string[],
  captions: readonly (readonly number[])[],
): Promise<Computed> {
  const { job, vocabulary, parameters } = await loadCheckpoint(checkpoint, null);
  const engine = tensorflowEngine(tensorflow(), { ...chooseEngine(job).options, threads: 1 });
  try {
    await engine.setParameters(parameters, { decoder: 0, embedding: 0, encoder: 0, statistics: 0 });
    const tools = { rules: inputRulesOf(job, vocabulary.unkId), decoder: openImageDecoder('cpu') };
    const images = await Promise.all(pictures.map((file) => drawImage(readFileSync(file), file, null, 0, tools)));
    const all = Float32Array.from(images.flatMap((image) => [...image]));
    const features = await engine.features(all, images.length);
    const F = features.length / images.length;
    const rows = images.map((_, i) => features.slice(i * F, (i + 1) * F));
    const { beam: width, maxLength, lengthNormalization } = job.evaluation;
    const found = await captionFeatures(engine, features, images.length, {
      vocabulary,
      width,
      maxLength,
      lengthNormalization,
    });
    const logprobs: number[][][] = [];
    for (const row of rows) {
      const ofPicture: number[][] = [];
      for (const caption of captions)
        ofPicture.push(await logprobsOf(engine, row, caption, job.model.decoder.vocabulary));
      logprobs.push(ofPicture);
    }
    return { features: rows.map((row) => [...row]), logprobs, captions: found.map((ones) => ones.map(named)) };
  } finally {
    await engine.close();
  }
}

const named = ({ caption, logProbability }: ScoredCaption) => ({ caption, logprob: logProbability });

/** Each word's after those before it. */
async function logprobsOf(
  engine: Engine,
  features: Float32Array,
  caption: readonly number[],
  V: number,
): Promise<number[]> {
  let state: DecoderState = await engine.decodeStart(features, 1);
  const logprobs: number[] = [];
  for (const [i, word] of caption.slice(1).entries()) {
    const step = await engine.decodeStep(Int32Array.of(caption[i] as number), state, V);
    logprobs.push(Math.log(step.probabilities[step.words.indexOf(word)] ?? NaN));
    state = step;
  }
  return logprobs;
}

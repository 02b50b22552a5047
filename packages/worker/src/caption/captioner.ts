import { ShowtellError } from '@showtell/shared/errors.js';
import type { ScoredCaption } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { chooseEngine, prepareEngine } from '../engine/choose-engine.js';
import { EngineThread } from '../engine/engine-thread.js';
import { captionFeatures } from '../units/evaluate-unit.js';
import type { CaptionModel } from './load-checkpoint.js';

/** A picture to caption. */
export interface Captionable {
  /** `[S, S, 3]`, −1 to 1. */
  readonly image: Float32Array;
  /** Beam width: captions kept at each step, and at most so many come out. */
  readonly beam: number;
}

/** Either changes the last bits of a caption's probability, as another machine does; neither what is likely. */
export interface CaptionerOptions {
  /** Pictures a feature graph takes; default: as many as in training. */
  readonly batch?: number | null;
  /** Threads of the engine; default: the job's. */
  readonly threads?: number | null;
}

/** A checkpoint in an engine, ready to caption. */
export class Captioner implements AsyncDisposable {
  private constructor(
    readonly model: CaptionModel,
    /** Pictures a feature graph takes at a time: what comes in pieces of it is computed without padding. */
    readonly batch: number,
    private readonly engine: EngineThread,
  ) {}

  /** @throws ShowtellError what opening the engine throws */
  static async open(model: CaptionModel, asked: CaptionerOptions = {}): Promise<Captioner> {
    const { name, options } = chooseEngine(model.job);
    const featureBatch = asked.batch ?? options.featureBatch;
    const decodeBatch = featureBatch * model.job.evaluation.beam;
    const own = { ...options, featureBatch, decodeBatch, threads: asked.threads ?? options.threads };
    prepareEngine({ name, options: own });
    const engine = await EngineThread.open(name, own);
    await engine.setParameters(model.parameters, { decoder: 0, embedding: 0, encoder: 0, statistics: 0 });
    return new Captioner(model, featureBatch, engine);
  }

  /**
   * Captions of each picture, best first. One call of the encoder for all of them; one beam search for all of a width.
   * What stands beside a picture changes at most the last digits of its captions' probabilities: a product's rounding
   * depends on the row.
   */
  async caption(pictures: readonly Captionable[]): Promise<ScoredCaption[][]> {
    const features = await this.#features(pictures);
    const F = features.length / Math.max(pictures.length, 1);
    const captions = pictures.map((): ScoredCaption[] => []);
    for (const beam of new Set(pictures.map((picture) => picture.beam))) {
      const places = pictures.flatMap((picture, place) => (picture.beam === beam ? [place] : []));
      const rows = new Float32Array(places.length * F);
      for (const [row, place] of places.entries()) rows.set(features.subarray(place * F, (place + 1) * F), row * F);
      const { maxLength, lengthNormalization } = this.model.job.evaluation;
      const how = { vocabulary: this.model.vocabulary, width: beam, maxLength, lengthNormalization };
      const found = await captionFeatures(this.engine, rows, places.length, how);
      for (const [row, place] of places.entries()) captions[place] = found[row] ?? [];
    }
    return captions;
  }

  async #features(pictures: readonly Captionable[]): Promise<Float32Array> {
    const pixels = pictures[0]?.image.length ?? 0;
    const images = new Float32Array(pictures.length * pixels);
    for (const [i, { image }] of pictures.entries()) images.set(image, i * pixels);
    return this.engine.features(images, pictures.length);
  }

  // The addon does not outlive a process.exit under it: its thread ends first, whatever happens.
  [Symbol.asyncDispose](): Promise<void> {
    return this.engine.close();
  }
}

/** The greatest beam that a model can search with. */
export function mostBeam(model: CaptionModel): number {
  return Math.min(32, model.job.model.decoder.vocabulary);
}

/** @throws ShowtellError `usage/invalid` */
export function checkBeam(beam: number, model: CaptionModel, command: string): number {
  const most = mostBeam(model);
  if (Number.isInteger(beam) && beam >= 1 && beam <= most) return beam;
  throw new ShowtellError('usage/invalid', { detail: `--beam ${beam} is no whole number from 1 to ${most}`, command });
}

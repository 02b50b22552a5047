import type { Engine } from '../engine/engine.js';
import { batchCaptions, sharedFloats, type CaptionRules } from '../input/batch.js';
import type { FoundPair } from './read-pairs.js';

/** What im2txt's evaluate.py adds up. */
export interface LossSums {
  /** −log p of every word that counts, the end among them. */
  readonly lossSum: number;
  readonly words: number;
  readonly sequences: number;
}

export interface SumOptions {
  readonly engine: Engine;
  /** A picture as evaluation sees it, `[S, S, 3]`. */
  readonly draw: (jpeg: Uint8Array, where: string) => Promise<Float32Array>;
  readonly captions: CaptionRules;
  /** Pairs computed together; it chooses no bits of a pair's own loss but the kernels that compute it. */
  readonly batch: number;
  readonly onProgress: (sequences: number) => void;
}

/** Losses of pairs in inference mode, without dropout, each pair once; pictures are decoded while the engine computes. */
export async function sumLosses(pairs: AsyncIterable<FoundPair>, options: SumOptions): Promise<LossSums> {
  let [lossSum, words, sequences] = [0, 0, 0];
  let computing: Promise<LossSums> | null = null;
  const add = async (): Promise<void> => {
    if (computing === null) return;
    const sums = await computing;
    computing = null;
    lossSum += sums.lossSum;
    words += sums.words;
    sequences += sums.sequences;
    options.onProgress(sequences);
  };
  let batch: DrawnPair[] = [];
  const flush = async (): Promise<void> => {
    await add();
    if (batch.length > 0) computing = lossesOf(batch, options);
    // Whoever awaits it is told; until then a rejection is not unhandled.
    computing?.catch(() => undefined);
    batch = [];
  };
  for await (const { ids, jpeg, where } of pairs) {
    batch.push({ ids, image: await options.draw(jpeg, where) });
    if (batch.length === options.batch) await flush();
  }
  await flush();
  await add();
  return { lossSum, words, sequences };
}

interface DrawnPair {
  readonly ids: Int32Array;
  readonly image: Float32Array;
}

async function lossesOf(pairs: readonly DrawnPair[], { engine, captions }: SumOptions): Promise<LossSums> {
  const pixels = pairs[0]?.image.length ?? 0;
  const images = sharedFloats(pairs.length * pixels);
  for (const [b, { image }] of pairs.entries()) images.set(image, b * pixels);
  const features = await engine.features(images, pairs.length);
  const batch = batchCaptions(
    pairs.map(({ ids }) => ids),
    captions,
  );
  const { lossSums, tokens } = await engine.evaluate({ ...batch, features });
  const total = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0);
  return { lossSum: total(lossSums), words: total(tokens), sequences: pairs.length };
}

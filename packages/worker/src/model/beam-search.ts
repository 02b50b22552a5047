import { exactLog, exactPow } from '@showtell/shared/exact-math.js';
import { TopN } from './top-n.js';

/**
 * im2txt's beam search (caption_generator.py, before tensorflow/models pull 6255, which loses the best words), for
 * several images at once: pure over a function that says what may come next.
 */
export interface BeamOptions {
  /** Ids of `<S>` and `</S>`. */
  readonly start: number;
  readonly end: number;
  /** Partial and complete captions kept of each image, and words tried after each partial one. */
  readonly width: number;
  /** Longest caption in words, with the start; the search takes one step fewer. */
  readonly maxLength: number;
  /** x of score = logprob ÷ length^x for complete captions, length with start and end; 0: score = logprob. */
  readonly lengthNormalization: number;
}

export interface Caption {
  /** Without start and end. */
  readonly words: readonly number[];
  /** Whether the end was said; if no caption of an image got there, its partial ones are given instead. */
  readonly complete: boolean;
  /** Natural logarithm of the probability of all words, the end among them. */
  readonly logprob: number;
  /** Of each word after those before it, and of the end if it was said. */
  readonly wordProbabilities: readonly number[];
  readonly score: number;
}

/**
 * The likeliest next words of n partial captions.
 * @param words [n]: the last word of each
 * @param parents [n]: which row of the call before each continues; at the first call, which image
 * @returns [n, width] each, likeliest first, among equals the lower id
 */
export type NextWords = (
  words: Int32Array,
  parents: Int32Array,
) => Promise<{ readonly words: Int32Array; readonly probabilities: Float32Array }>;

/** Words less likely are not tried, as in im2txt. */
const LEAST_PROBABILITY = 1e-12;

interface Partial extends Caption {
  /** Row of the last call that holds the state after this caption's last word but one. */
  readonly row: number;
  readonly last: number;
}

/** Captions of each image, best first, at most `width`. */
export async function beamSearch(images: number, next: NextWords, options: BeamOptions): Promise<Caption[][]> {
  const { start, end, width, maxLength, lengthNormalization } = options;
  const complete = Array.from({ length: images }, () => new TopN<Caption>(width));
  let partial = Array.from({ length: images }, (_, image): TopN<Partial> => {
    const empty = { words: [], complete: false, logprob: 0, wordProbabilities: [], score: 0, row: image, last: start };
    return new TopN<Partial>(width).push(empty);
  });

  for (let step = 1; step < maxLength; step++) {
    const open = partial.flatMap((best) => best.items);
    if (open.length === 0) break;
    const { words, probabilities } = await next(
      Int32Array.from(open, (caption) => caption.last),
      Int32Array.from(open, (caption) => caption.row),
    );
    let row = 0;
    partial = partial.map((best, image) => {
      const longer = new TopN<Partial>(width);
      for (const caption of best.items) {
        for (let i = row * width; i < (row + 1) * width; i++) {
          const p = probabilities[i] as number;
          if (p < LEAST_PROBABILITY) continue;
          const word = words[i] as number;
          const logprob = caption.logprob + exactLog(p);
          const wordProbabilities = [...caption.wordProbabilities, p];
          if (word === end) {
            const score = logprob / exactPow(caption.words.length + 2, lengthNormalization);
            complete[image]?.push({ words: caption.words, complete: true, logprob, wordProbabilities, score });
          } else {
            const longerWords = [...caption.words, word];
            const score = logprob;
            longer.push({ words: longerWords, complete: false, logprob, wordProbabilities, score, row, last: word });
          }
        }
        row++;
      }
      return longer;
    });
  }

  return complete.map((found, image) =>
    found.size > 0
      ? found.sorted
      : (partial[image]?.sorted ?? []).map(({ words, complete, logprob, wordProbabilities, score }) => ({
          words,
          complete,
          logprob,
          wordProbabilities,
          score,
        })),
  );
}

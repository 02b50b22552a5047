import { bleu } from './bleu.js';
import { cider } from './cider.js';
import { countNgrams } from './ngrams.js';
import { numberTokens, type ScoredCaption } from './number-tokens.js';
import { rougeL } from './rouge-l.js';

/** Scores under coco-caption's names and in its order. */
export interface CaptionScores {
  readonly Bleu_1: number;
  readonly Bleu_2: number;
  readonly Bleu_3: number;
  readonly Bleu_4: number;
  readonly ROUGE_L: number;
  /** In [0, 10]. */
  readonly CIDEr: number;
}

/** What a set of captions scores, and each of its captions. */
export interface SetScores<Scores = CaptionScores> {
  readonly corpus: Scores;
  readonly captions: readonly Scores[];
}

/** Scores of a set of captions; all of it matters to each value, so it is not to be computed in parts. */
export function captionScores(captions: readonly ScoredCaption[]): SetScores {
  const set = numberTokens(captions);
  const ngrams = countNgrams(set);
  const bleus = bleu(set, ngrams);
  const ciders = cider(set, ngrams);
  const rouges = rougeL(set);
  return {
    corpus: named(bleus.corpus, mean(rouges), mean(ciders)),
    captions: bleus.captions.map((own, i) => named(own, rouges[i] ?? 0, ciders[i] ?? 0)),
  };
}

function named(bleus: readonly [number, number, number, number], rougeL: number, cider: number): CaptionScores {
  const [Bleu_1, Bleu_2, Bleu_3, Bleu_4] = bleus;
  return { Bleu_1, Bleu_2, Bleu_3, Bleu_4, ROUGE_L: rougeL, CIDEr: cider };
}

/** 0 for none. */
function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * A score as it is journalled and compared: nine significant digits. Powers and logarithms differ in the last bit between
 * versions of V8, and a decision (rollback, best checkpoint) must not.
 */
export function roundScore(value: number): number {
  return Number(value.toPrecision(9));
}

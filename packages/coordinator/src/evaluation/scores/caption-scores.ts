import { corpusBleu, type ScoredCaption } from './bleu.js';
import { corpusCider } from './cider.js';
import { corpusRougeL } from './rouge-l.js';

/** Corpus scores under coco-caption's names and in its order. */
export interface CaptionScores {
  readonly Bleu_1: number;
  readonly Bleu_2: number;
  readonly Bleu_3: number;
  readonly Bleu_4: number;
  readonly ROUGE_L: number;
  /** In [0, 10]. */
  readonly CIDEr: number;
}

/** Scores of a set of captions; all of it matters to each value, so it is not to be computed in parts. */
export function captionScores(captions: readonly ScoredCaption[]): CaptionScores {
  const [one, two, three, four] = corpusBleu(captions);
  return {
    Bleu_1: one,
    Bleu_2: two,
    Bleu_3: three,
    Bleu_4: four,
    ROUGE_L: corpusRougeL(captions),
    CIDEr: corpusCider(captions),
  };
}

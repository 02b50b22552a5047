import { captionScores, roundScore } from '@showtell/coordinator/evaluation/scores/caption-scores.js';
import { perplexity } from '@showtell/coordinator/evaluation/scores/perplexity.js';
import { describe, expect, it } from 'vitest';

describe('perplexity', () => {
  it('is the number of equally likely words a model hesitates between', () => {
    expect(perplexity(3 * Math.log(8), 3)).toBeCloseTo(8, 12);
    expect(perplexity(0, 0)).toBeNaN();
  });
});

describe('scores at their edges', () => {
  it('takes the shorter of two reference lengths that are equally near', () => {
    const candidate = ['a', 'b', 'c', 'd'];
    const { captions } = captionScores([
      { candidate, references: [['a', 'b', 'c', 'd', 'e']] },
      {
        candidate,
        references: [
          ['a', 'b', 'c', 'd', 'e'],
          ['a', 'b', 'c'],
        ],
      },
    ]);
    expect(captions[0]?.Bleu_1).toBeCloseTo(Math.exp(1 - 5 / 4), 6);
    expect(captions[1]?.Bleu_1).toBeCloseTo(1, 6);
  });

  it('gives 0 for no pictures and for references without words', () => {
    expect(captionScores([]).corpus).toMatchObject({ Bleu_4: 0, ROUGE_L: 0, CIDEr: 0 });
    expect(captionScores([{ candidate: ['a'], references: [[]] }]).corpus.CIDEr).toBe(0);
    expect(captionScores([{ candidate: ['a'], references: [] }]).corpus.Bleu_4).toBeLessThan(1e-3);
  });

  it('rounds to nine significant digits, so that a last bit cannot turn a decision', () => {
    expect(roundScore(0.1 + 0.2)).toBe(0.3);
    expect(roundScore(0.30000000000000004)).toBe(roundScore(0.3));
    expect(roundScore(3123.45678912345)).toBe(3123.45679);
  });
});

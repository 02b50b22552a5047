import { tokenizeCaption } from '@showtell/coordinator/evaluation/scores/tokenize.js';
import { describe, expect, it } from 'vitest';
import { captions, novelty, tokenizer } from './material.js';

describe('tokenizeCaption against pycocoevalcap', () => {
  it.each(tokenizer.cases.map((one) => [one.id, one] as const))('%s', (_id, one) => {
    expect(tokenizeCaption(one.raw).join(' ')).toBe(one.tokenized);
  });

  it('agrees on every caption of the scored sets', () => {
    let compared = 0;
    for (const image of captions.datasets.flatMap((set) => set.images)) {
      expect(tokenizeCaption(image.candidate).join(' ')).toBe(image.candidate_tokenized);
      expect(image.references.map((text) => tokenizeCaption(text).join(' '))).toEqual(image.references_tokenized);
      compared += 1 + image.references.length;
    }
    expect(compared).toBeGreaterThan(1000);
  });

  it('agrees on the captions of the novelty cases', () => {
    for (const one of novelty.cases) {
      expect(one.training.map((text) => tokenizeCaption(text).join(' '))).toEqual(one.training_tokenized);
      expect(one.generated.map((text) => tokenizeCaption(text).join(' '))).toEqual(one.generated_tokenized);
    }
  });

  it('takes a line separator inside a caption for a space, where the original loses a caption', () => {
    for (const { inputs } of tokenizer.line_separator_probe) {
      expect(tokenizeCaption(inputs[0] ?? '')).toEqual(['a', 'red', 'bus']);
    }
  });
});

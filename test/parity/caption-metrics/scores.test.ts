import { captionScores } from '@showtell/coordinator/evaluation/scores/caption-scores.js';
import { captionKey, measureNovelty } from '@showtell/coordinator/evaluation/scores/novelty.js';
import { describe, expect, it } from 'vitest';
import { captions, novelty, scores, split, type MetricName } from './material.js';

function expectClose(ours: number, theirs: number, what: string): void {
  expect(Math.abs(ours - theirs), `${what}: ${ours} for ${theirs}`).toBeLessThanOrEqual(
    1e-12 + 1e-9 * Math.abs(theirs),
  );
}

const names: readonly MetricName[] = ['Bleu_1', 'Bleu_2', 'Bleu_3', 'Bleu_4', 'ROUGE_L', 'CIDEr'];

describe('scores against pycocoevalcap', () => {
  it.each(scores.datasets.map((set, index) => [set.name, index] as const))('%s', (name, index) => {
    const theirs = scores.datasets[index];
    const images = captions.datasets[index]?.images ?? [];
    expect(captions.datasets[index]?.name).toBe(name);
    const scored = images.map((image) => ({
      candidate: split(image.candidate_tokenized),
      references: image.references_tokenized.map(split),
    }));
    const ours = captionScores(scored);
    for (const metric of names) expectClose(ours.corpus[metric], theirs!.corpus[metric], metric);

    ours.captions.forEach((values, i) => {
      const image = theirs!.images[i]!;
      for (const metric of names) expectClose(values[metric], image[metric], `${image.id} ${metric}`);
    });
  });
});

describe('novelty', () => {
  it.each(novelty.cases.map((one) => [one.name, one] as const))('%s', (_name, one) => {
    const training = new Set(one.training_tokenized.map((text) => captionKey(split(text))));
    const ours = measureNovelty(one.generated_tokenized.map(split), training);
    const { stats } = one;
    expect(ours.copied).toBe(stats.n_exact_training);
    expect(ours.generated).toBe(stats.n_generated);
    expect(ours.vocabulary).toBe(stats.vocabulary_size);
    expectClose(ours.novelty, stats.n_generated === 0 ? 0 : 1 - stats.exact_training_fraction, 'novelty');
    expectClose(ours.distinct1, stats.distinct_1, 'distinct-1');
    expectClose(ours.distinct2, stats.distinct_2, 'distinct-2');
    expectClose(ours.meanLength, stats.mean_length, 'mean length');
  });
});

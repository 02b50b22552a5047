import type { JobInput } from './job.js';

/** Named jobs that a job file may begin with (`preset: demo`); what they do not say is the schema's default. */
export const presets = {
  /** im2txt as its guide trains it: 1 M steps of the decoder, then 2 M jointly. Needs a trained encoder. */
  im2txt: {
    name: 'im2txt',
    model: { encoder: { allowRandomWeights: false } },
  },
  /**
   * Synthetic scenes on a laptop in minutes: a quarter-width encoder at 80 px from random values. Its batch-norm decay is
   * 0.9, because moving averages at 0.9997 stay untrained for thousands of steps. The decoder's first values reach four
   * times as far as im2txt's, whose LSTM is four times as wide: smaller ones leave colours merged for a thousand steps.
   */
  demo: {
    name: 'demo',
    model: {
      encoder: { depthMultiplier: 0.25, imageSize: 80, batchNormDecay: 0.9 },
      decoder: { embedding: 128, units: 128, vocabulary: 256, initScale: 0.35, keep: 1 },
    },
    batch: { examples: 64, units: 2, captionLengths: [16, 32] },
    augmentation: { enabled: false, resize: 0 },
    optimizer: { name: 'momentum', momentum: 0.9 },
    phases: {
      decoderOnly: { steps: 200, learningRate: 0.1, decay: null },
      joint: {
        steps: 1700,
        learningRate: 0.2,
        decay: { factor: 0.2, everySteps: 1200 },
        l2: 0.00004,
        featureKeep: 1,
        maxBleuDrop: 0.2,
      },
    },
    evaluation: { everySteps: 200, perplexityExamples: 256, captionImages: 200, unitExamples: 64 },
    checkpoints: { everySteps: 300, keepLast: 3 },
    engine: { threads: 1 },
  },
} as const satisfies Record<string, JobInput>;

export type PresetName = keyof typeof presets;

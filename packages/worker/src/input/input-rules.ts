import type { Job } from '@showtell/shared/job/job.js';
import { featuresOf } from '@showtell/shared/model/parameters.js';
import type { InputRules } from './prepare-unit.js';

/** The numbers of a job that its pictures and captions are prepared by. */
export function inputRulesOf(job: Job, unkId: number): InputRules {
  const { encoder, decoder } = job.model;
  return {
    captions: { lengths: job.batch.captionLengths, vocabulary: decoder.vocabulary, unkId },
    dropout: {
      embedding: decoder.embedding,
      units: decoder.units,
      features: featuresOf(encoder),
      keep: decoder.keep,
      featureKeep: job.phases.joint.featureKeep,
    },
    imageSize: encoder.imageSize,
    resized: job.augmentation.resize === 0 ? encoder.imageSize : job.augmentation.resize,
    augment: job.augmentation.enabled,
  };
}

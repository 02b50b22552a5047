import type { Job } from '@showtell/shared/job/job.js';

/**
 * What TensorFlow refuses of a picture comes as an error, and its own lines would say it twice. On a GPU they stay, for
 * they say what is wrong with it. To be called before an engine or a decoder is opened.
 */
export function quietPictures({ engine }: Job): void {
  if (engine.device === 'cpu') process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '3';
}

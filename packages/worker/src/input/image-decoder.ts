import type { Job } from '@showtell/shared/job/job.js';
import type { Picture } from './picture.js';

/** Turns JPEG bytes into pixels. Each thread opens its own. */
export interface ImageDecoder {
  /**
   * @param where names the picture in messages.
   * @throws ShowtellError `input/picture-undecodable`
   */
  decode(jpeg: Uint8Array, where: string): Picture | Promise<Picture>;
}

/**
 * The decoder that goes with an engine: TensorFlow's own, whose pixels are im2txt's, or sharp's where there is no
 * TensorFlow. A feature's key names the engine, so that they never meet.
 * @throws ShowtellError `engine/not-set-up`
 */
export async function openDecoderFor({ name, device }: Pick<Job['engine'], 'name' | 'device'>): Promise<ImageDecoder> {
  if (name === 'tensorflow') return (await import('./decode-image.js')).openImageDecoder(device);
  return (await import('./sharp-decoder.js')).sharpDecoder;
}

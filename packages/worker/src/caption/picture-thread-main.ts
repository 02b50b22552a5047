import { parentPort, workerData } from 'node:worker_threads';
import { ShowtellError, type ErrorCode } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { type DecodedPicture, openPictureDecoder, type PictureRules } from '../input/decode-picture.js';
import { centralCrop } from '../input/distort.js';
import { resizeCrop } from '../input/resize.js';
import type { Picture } from '../input/picture.js';
import { openJpegEncoder } from './encode-jpeg.js';
import type { ReadPicture } from './picture-threads.js';
import { shrink } from './thumbnail.js';

/** What a thread is started with. */
export interface PictureThreadData {
  readonly engine: Pick<Job['engine'], 'name' | 'device'>;
  readonly rules: Omit<PictureRules, 'upright'>;
  /** Side that pictures are resized to before the crop, and of the crop. */
  readonly resized: number;
  readonly imageSize: number;
  /** Side of a thumbnail, as a JPEG; null: none is made. */
  readonly thumbnail: number | null;
}

export type PictureRequest =
  | { readonly type: 'read'; readonly bytes: Uint8Array; readonly where: string; readonly upright: boolean }
  | { readonly type: 'close' };

export type PictureReply =
  | { readonly type: 'opened' }
  | { readonly type: 'read'; readonly picture: ReadPicture }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly facts: unknown }
  | { readonly type: 'failed'; readonly message: string };

const thumbnailQuality = 80;

/** A thread that turns pictures' bytes into what the encoder sees, one after the other. */
const port = parentPort;
if (port === null) throw new TypeError('picture-thread-main.js runs as a worker thread only');

try {
  const { engine, rules, resized, imageSize, thumbnail } = workerData as PictureThreadData;
  const { decode, encode } = await openCodecs(engine);
  const crop = centralCrop(resized, imageSize);

  const read = async (bytes: Uint8Array, where: string, upright: boolean): Promise<ReadPicture> => {
    const picture = await decode(bytes, where, { ...rules, upright });
    const image = new Float32Array(imageSize * imageSize * 3);
    resizeCrop(picture, resized, crop, image, 0, 'centred');
    const small = thumbnail === null ? null : await encode(shrink(picture, thumbnail));
    const { width, height, format, orientation } = picture;
    return { image, thumbnail: small, width, height, format, orientation };
  };

  const answer = async ({ bytes, where, upright }: Extract<PictureRequest, { type: 'read' }>): Promise<void> => {
    try {
      const picture = await read(bytes, where, upright);
      port.postMessage({ type: 'read', picture } satisfies PictureReply, [picture.image.buffer as ArrayBuffer]);
    } catch (error) {
      port.postMessage(replyTo(error));
    }
  };
  // One at a time: the next is sent when this one is answered.
  port.on('message', (request: PictureRequest) => {
    if (request.type === 'close') port.close();
    else void answer(request);
  });
  port.postMessage({ type: 'opened' } satisfies PictureReply);
} catch (error) {
  port.postMessage(replyTo(error));
  port.close();
}

interface Codecs {
  readonly decode: (bytes: Uint8Array, where: string, rules: PictureRules) => DecodedPicture | Promise<DecodedPicture>;
  /** A small picture as a JPEG. */
  readonly encode: (picture: Picture) => Uint8Array | Promise<Uint8Array>;
}

/** TensorFlow's where it is the engine, else sharp's. */
async function openCodecs({ name, device }: PictureThreadData['engine']): Promise<Codecs> {
  if (name === 'tensorflow')
    return { decode: openPictureDecoder(device), encode: openJpegEncoder(device, thumbnailQuality) };
  const { decodePicture, encodeJpeg } = await import('../input/sharp-decoder.js');
  return { decode: decodePicture, encode: (picture) => encodeJpeg(picture, thumbnailQuality) };
}

function replyTo(error: unknown): PictureReply {
  if (error instanceof ShowtellError) return { type: 'refused', code: error.code as ErrorCode, facts: error.facts };
  return { type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

import { ShowtellError } from '@showtell/shared/errors.js';
import type { ScoredCaption } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Captioner } from './captioner.js';
import type { PictureSource } from './find-pictures.js';
import type { PictureThreads, ReadPicture } from './picture-threads.js';
import { workAhead } from './work-ahead.js';

/** What became of one picture. */
export type Outcome =
  | { readonly name: string; readonly picture: ReadPicture; readonly captions: readonly ScoredCaption[] }
  | { readonly name: string; readonly error: ShowtellError };

type Taken = { readonly name: string; readonly picture: ReadPicture } | Extract<Outcome, { error: ShowtellError }>;

export interface CaptionTools {
  readonly captioner: Captioner;
  readonly threads: PictureThreads;
  readonly beam: number;
  /** Whether JPEGs are turned by their EXIF tag. */
  readonly upright: boolean;
}

/**
 * Captions pictures in their order, as many at a time as a feature graph takes. While the engine computes one batch the
 * next two are read and decoded. What fails to be read or decoded is told in its place; any other error is thrown.
 */
export async function* captionPictures(
  sources: AsyncIterable<PictureSource>,
  { captioner, threads, beam, upright }: CaptionTools,
): AsyncGenerator<Outcome, void, undefined> {
  const taken = workAhead(sources, 2 * captioner.batch, (source) => take(source, threads, upright));
  let computing: Promise<Outcome[]> = Promise.resolve([]);
  for await (const batch of inBatches(taken, captioner.batch)) {
    const done = await computing;
    computing = captionBatch(batch, captioner, beam);
    // Held until awaited: an engine that fails meanwhile must not count as unhandled.
    computing.catch(() => undefined);
    yield* done;
  }
  yield* await computing;
}

/** Reads and decodes one. A failure that is not the picture's own is thrown when its turn comes. */
async function take(source: PictureSource, threads: PictureThreads, upright: boolean): Promise<() => Taken> {
  const { name } = source;
  if ('error' in source) return () => source;
  try {
    const picture = await threads.read(await source.bytes(), name === '-' ? 'standard input' : name, upright);
    return () => ({ name, picture });
  } catch (error) {
    return () => {
      if (!(error instanceof ShowtellError)) throw error;
      return { name, error: error as ShowtellError };
    };
  }
}

/** Lists of up to `size` decoded pictures, with the failures that came between them. */
async function* inBatches(
  taken: AsyncIterable<() => Taken>,
  size: number,
): AsyncGenerator<readonly Taken[], void, undefined> {
  let batch: Taken[] = [];
  let decoded = 0;
  for await (const outcome of taken) {
    const one = outcome();
    batch.push(one);
    if ('picture' in one) decoded++;
    if (decoded < size && batch.length < 4 * size) continue;
    yield batch;
    batch = [];
    decoded = 0;
  }
  if (batch.length > 0) yield batch;
}

async function captionBatch(batch: readonly Taken[], captioner: Captioner, beam: number): Promise<Outcome[]> {
  const decoded = batch.filter((one) => 'picture' in one);
  const captions =
    decoded.length === 0 ? [] : await captioner.caption(decoded.map(({ picture }) => ({ image: picture.image, beam })));
  const of = new Map(decoded.map((one, i) => [one as Taken, captions[i] ?? []]));
  return batch.map((one) => ('picture' in one ? { ...one, captions: of.get(one) ?? [] } : one));
}

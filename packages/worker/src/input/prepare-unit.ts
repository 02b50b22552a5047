import type { SplitName } from '@showtell/shared/data/manifest.js';
import type { RecordRef } from '@showtell/shared/data/dataset.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { random } from '@showtell/shared/random.js';
import type { CaptionBatch } from '../engine/engine.js';
import {
  batchCaptions,
  drawDropout,
  sharedFloats,
  type CaptionRules,
  type DropoutFactors,
  type DropoutRules,
} from './batch.js';
import type { ImageDecoder } from './image-decoder.js';
import { centralCrop, centre, distortColors, drawDistortion } from './distort.js';
import type { FeatureCache, PictureKey } from './feature-cache.js';
import { nameOf, type KnownRecord, type RecordReader } from './read-records.js';
import { checkRecordPicture } from './record-picture.js';
import { resizeCrop } from './resize.js';

/** What the preparation of any unit depends on: the job's numbers. */
export interface InputRules {
  readonly captions: CaptionRules;
  readonly dropout: DropoutRules;
  /** Side of the encoder's pictures. */
  readonly imageSize: number;
  /** Side that pictures are resized to before the crop. */
  readonly resized: number;
  /** Whether training pictures are distorted. */
  readonly augment: boolean;
}

/** A unit to prepare. */
export interface PrepareRequest {
  readonly split: SplitName;
  readonly records: readonly RecordRef[];
  /** Of a training unit; null: an evaluation unit, neither distorted nor dropped out. */
  readonly seed: number | null;
  /** `unless-cached`: pictures whose feature is in the cache are not decoded. */
  readonly pictures: 'all' | 'unless-cached';
}

/** A unit ready for the engine; its arrays lie in shared memory. */
export interface PreparedUnit {
  /** Places within the unit of the records that are used, rising: example b is the record at `places[b]`. */
  readonly places: readonly number[];
  /** Sound records that do not decode. */
  readonly skipped: readonly { readonly place: number; readonly reason: string }[];
  readonly pictureKeys: readonly PictureKey[];
  readonly captions: CaptionBatch;
  /** Training units only. */
  readonly dropout: DropoutFactors | null;
  /** `[images, S, S, 3]`, −1 to 1: the pictures of the examples in `imageOf`. */
  readonly images: Float32Array;
  /** Examples that have a picture in `images`, in its order. */
  readonly imageOf: readonly number[];
  /** `[B, F]`: features found in the cache; zero where the picture is given instead. */
  readonly features: Float32Array;
  /** Key of the cache that features were found in: of the encoder that computed them; null: none was found. */
  readonly featuresKey: string | null;
  readonly seconds: number;
}

export interface PrepareTools {
  readonly rules: InputRules;
  readonly reader: RecordReader;
  readonly decoder: ImageDecoder;
  readonly cache: () => FeatureCache | null;
  /** The cache's, which names the encoder; null: there is none. */
  readonly cacheKey: () => string | null;
}

/**
 * Reads, decodes, distorts and batches a unit's records. The result is a function of the records and the seed; the
 * cache only decides whether a picture or its feature is given.
 *
 * @throws ShowtellError `data/record-corrupt`, `file/missing`: this machine can't read a record
 */
export async function prepareUnit(request: PrepareRequest, tools: PrepareTools): Promise<PreparedUnit> {
  const start = performance.now();
  const { rules } = tools;
  const read = await Promise.all(request.records.map((_, place) => readExample(request, place, tools)));
  const examples: Example[] = [];
  const skipped: PreparedUnit['skipped'][number][] = [];
  for (const [place, found] of read.entries()) {
    if ('reason' in found) skipped.push({ place, reason: found.reason });
    else examples.push(found);
  }
  const places = examples.map(({ place }) => place);
  const B = examples.length;
  const F = rules.dropout.features;
  const features = sharedFloats(B * F);
  const pixels = rules.imageSize * rules.imageSize * 3;
  const drawn = examples.filter(({ image }) => image !== null).length;
  const images = sharedFloats(drawn * pixels);
  const imageOf: number[] = [];
  for (const [b, { image, feature }] of examples.entries()) {
    if (image !== null) {
      images.set(image, imageOf.length * pixels);
      imageOf.push(b);
    } else if (feature !== null) {
      features.set(feature, b * F);
    }
  }
  const captions = batchCaptions(
    examples.map(({ ids }) => ids),
    rules.captions,
  );
  return {
    places,
    skipped,
    pictureKeys: examples.map(({ picture }) => picture),
    captions,
    dropout: request.seed === null ? null : drawDropout(request.seed, places, captions.T, rules.dropout),
    images,
    imageOf,
    features,
    featuresKey: imageOf.length < B ? tools.cacheKey() : null,
    seconds: (performance.now() - start) / 1000,
  };
}

interface Example extends KnownRecord {
  readonly place: number;
  readonly image: Float32Array | null;
  readonly feature: Float32Array | null;
}

async function readExample(
  request: PrepareRequest,
  place: number,
  tools: PrepareTools,
): Promise<Example | { readonly reason: string }> {
  const ref = request.records[place] as RecordRef;
  try {
    if (request.pictures === 'unless-cached') {
      const known = await tools.reader.describe(request.split, ref);
      const feature = tools.cache()?.find(known.picture) ?? null;
      if (feature !== null) return { ...known, place, image: null, feature };
    }
    const record = await tools.reader.read(request.split, ref);
    const image = await drawImage(record.jpeg, nameOf(request.split, ref), request.seed, place, tools);
    return { picture: record.picture, ids: record.ids, place, image, feature: null };
  } catch (error) {
    if (error instanceof ShowtellError && unusable.includes(error.code as string)) return { reason: error.message };
    throw error;
  }
}

/** Faults of the record itself: every worker finds them, so the record is skipped. */
const unusable: readonly string[] = ['data/record-malformed', 'input/picture-undecodable'];

/** A picture as the encoder sees it, `[S, S, 3]`. */
export async function drawImage(
  jpeg: Uint8Array,
  where: string,
  seed: number | null,
  place: number,
  { rules, decoder }: Pick<PrepareTools, 'rules' | 'decoder'>,
): Promise<Float32Array> {
  const { resized, imageSize } = rules;
  checkRecordPicture(jpeg, where);
  const picture = await decoder.decode(jpeg, where);
  const image = new Float32Array(imageSize * imageSize * 3);
  if (seed === null || !rules.augment) {
    resizeCrop(picture, resized, centralCrop(resized, imageSize), image, 0, 'centred');
    return image;
  }
  const distortion = drawDistortion(random(seed, 'example', place, 'distortion'), resized, imageSize);
  resizeCrop(picture, resized, distortion.crop, image);
  distortColors(image, distortion);
  centre(image);
  return image;
}

import sharp from 'sharp';
import { decodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { scanRecords } from '@showtell/shared/data/tfrecord.js';
import { ShowtellError } from '@showtell/shared/errors.js';

/** What a person wants to know of one record. */
export interface InspectedRecord {
  readonly record: number;
  /** Of the data, in bytes. */
  readonly offset: number;
  readonly length: number;
  readonly crc: 'ok' | 'wrong';
  readonly imageId?: number;
  /** "96×96 jpeg, 1577 bytes", or why it can't be told. */
  readonly picture?: string;
  readonly words?: readonly string[];
  readonly ids?: readonly number[];
  /** Why the data are no image–caption pair. */
  readonly fault?: string;
}

/**
 * The first records of a TFRecord file, and how many it has in all.
 * @throws ShowtellError `file/missing`, `data/shard-unreadable`
 */
export async function inspectFile(file: string, first: number): Promise<{ records: number; shown: InspectedRecord[] }> {
  const shown: InspectedRecord[] = [];
  let records = 0;
  for await (const { offset, length, sound, data } of scanRecords(file)) {
    if (records < first) {
      const base = { record: records, offset, length, crc: sound ? 'ok' : 'wrong' } as const;
      shown.push({ ...base, ...(await describe(data)) });
    }
    records++;
  }
  return { records, shown };
}

async function describe(data: Uint8Array): Promise<Partial<InspectedRecord>> {
  try {
    const { imageId, jpeg, words, ids } = decodeCaptionExample(data);
    return { imageId, picture: await describePicture(jpeg), words, ids: Array.from(ids) };
  } catch (error) {
    if (error instanceof ShowtellError) return { fault: error.message };
    throw error;
  }
}

async function describePicture(jpeg: Uint8Array): Promise<string> {
  const size = `${jpeg.length} bytes`;
  return sharp(jpeg)
    .metadata()
    .then(
      ({ width, height, format }) => `${width}×${height} ${format}, ${size}`,
      () => `${size} that are no picture`,
    );
}

import type { Dataset, RecordRef, Split } from '@showtell/shared/data/dataset.js';
import { readRecord, renewShard } from '@showtell/shared/data/dataset.js';
import type { SplitName } from '@showtell/shared/data/manifest.js';
import { decodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { maskedCrc32c } from '@showtell/shared/data/tfrecord.js';
import type { PictureKey } from './feature-cache.js';

/** What is known of a record without its picture. */
export interface KnownRecord {
  readonly picture: PictureKey;
  readonly ids: Int32Array;
}

/**
 * Reads a data set's records, and remembers their captions: with its picture's feature at hand, a record met again
 * isn't read at all. About 200 bytes a record.
 */
export class RecordReader {
  private readonly known = new Map<string, KnownRecord>();

  constructor(
    private readonly dataset: Dataset,
    private readonly onCorrupt: (error: ShowtellError) => void,
  ) {}

  /** The record's caption and its picture's key. @throws as {@link read} */
  async describe(split: SplitName, ref: RecordRef): Promise<KnownRecord> {
    return this.known.get(nameOf(split, ref)) ?? (await this.read(split, ref));
  }

  /**
   * The whole record.
   * @throws ShowtellError `data/record-corrupt` when the bytes are unlike the index even when read again (the machine's
   *   or the network's fault), `data/record-malformed` when sound bytes hold no pair (the record's)
   */
  async read(split: SplitName, ref: RecordRef): Promise<KnownRecord & { readonly jpeg: Uint8Array }> {
    const bytes = await this.readTwice(this.dataset.split(split), ref);
    const { imageId, ids, jpeg } = decodeCaptionExample(bytes, nameOf(split, ref));
    if (ids.length < 2) {
      const detail = `its caption has ${ids.length} ids, not even a start and an end`;
      throw new ShowtellError('data/record-malformed', { where: nameOf(split, ref), detail });
    }
    const known = { picture: { imageId, bytes: jpeg.length, crc: maskedCrc32c(jpeg) }, ids };
    this.known.set(nameOf(split, ref), known);
    return { ...known, jpeg };
  }

  private async readTwice(split: Split, ref: RecordRef): Promise<Uint8Array> {
    try {
      return await readRecord(split, ref);
    } catch (error) {
      if (!(error instanceof ShowtellError) || error.code !== 'data/record-corrupt') throw error;
      this.onCorrupt(error as ShowtellError);
      await renewShard(split, ref.shard);
      return readRecord(split, ref);
    }
  }
}

/** As messages name a record. */
export function nameOf(split: string, ref: RecordRef): string {
  return `record at byte ${ref.offset} of ${split} shard ${ref.shard}`;
}

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { ShowtellError } from '@showtell/shared/errors.js';
import { shardFileName, type SplitManifest, type SplitName } from '@showtell/shared/data/manifest.js';
import { encodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { indexFile, readIndex, ShardWriter, type ShardIndex } from '@showtell/shared/data/shard.js';
import type { Vocabulary } from '@showtell/shared/data/vocabulary.js';
import type { BuildOptions, Pair } from './build-options.js';
import type { CaptionedPicture } from './coco.js';
import { checkPicture } from './picture-check.js';

/** While the number of shards isn't given there is one for so many records; im2txt's 256 of COCO hold 2,290 each. */
const RECORDS_PER_SHARD = 256;

const DEFAULT_SHARDS: Readonly<Record<SplitName, number>> = { train: 256, val: 4, test: 8 };

/** Shards written at once; each is a stream of its own to the same disk. */
const MAX_OPEN = 8;

/**
 * Writes a split's records, in their order, spread evenly over its shards; shards that are whole already stay.
 * @throws ShowtellError `data/split-impossible` when more shards are asked for than there are records
 */
export async function writeShards(
  name: SplitName,
  pairs: readonly Pair[],
  vocabulary: Vocabulary,
  options: BuildOptions,
): Promise<SplitManifest['shards']> {
  const given = options.shards[name];
  const count = given ?? Math.min(DEFAULT_SHARDS[name], Math.ceil(pairs.length / RECORDS_PER_SHARD));
  if (given !== null && given > pairs.length) {
    const detail = `${name} has ${pairs.length} records, too few for ${given} shards`;
    throw new ShowtellError('data/split-impossible', { detail });
  }
  options.progress.begin(`writing ${name}`, pairs.length);
  const limit = pLimit(Math.min(options.threads, MAX_OPEN));
  const failed = new AbortController();
  const settled = await Promise.allSettled(
    Array.from({ length: count }, (_, shard) =>
      limit(async () => {
        failed.signal.throwIfAborted();
        const file = shardFileName(name, shard, count);
        const own = pairs.slice(bound(shard, count, pairs.length), bound(shard + 1, count, pairs.length));
        const index = await writeShard(join(options.directory, file), own, vocabulary, options).catch((error: unknown) => {
          failed.abort(error);
          throw error;
        });
        return { file, records: own.length, bytes: index.shardBytes, indexSha256: index.sha256 };
      }),
    ),
  );
  // Those under way are let finish, so that nobody writes into the folder once this has failed.
  failed.signal.throwIfAborted();
  options.progress.end();
  return settled.flatMap((shard) => (shard.status === 'fulfilled' ? [shard.value] : []));
}

/** First record of a shard when records are spread evenly, as numpy's linspace rounds it for im2txt. */
function bound(shard: number, shards: number, records: number): number {
  return Math.floor((shard * records) / shards);
}

async function writeShard(
  file: string,
  pairs: readonly Pair[],
  vocabulary: Vocabulary,
  options: BuildOptions,
): Promise<ShardIndex> {
  const finished = await readIndex(indexFile(file)).catch(() => null);
  if (finished?.count === pairs.length) {
    options.progress.advance(pairs.length);
    return finished;
  }
  await rm(indexFile(file), { force: true });
  await using writer = new ShardWriter(file);
  for (const { picture, words } of pairs) {
    const jpeg = await pictureBytes(picture, options.convert);
    const ids = Int32Array.from(words, (word) => vocabulary.id(word));
    await writer.append(encodeCaptionExample({ imageId: picture.imageId, jpeg, words, ids }));
    options.progress.advance(1);
  }
  await writer.close();
  return await readIndex(indexFile(file));
}

/** Bytes of a picture that has passed its check. */
async function pictureBytes({ file, imageId }: CaptionedPicture, convert: boolean): Promise<Uint8Array> {
  if (!convert) return readFile(file);
  const checked = await checkPicture(file, convert, false);
  if ('jpeg' in checked) return checked.jpeg;
  throw new ShowtellError('data/image-undecodable', { file, imageId, detail: checked.fault });
}

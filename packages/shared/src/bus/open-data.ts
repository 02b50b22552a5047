import { setTimeout as delay } from 'node:timers/promises';
import { openDataset, type Dataset, type ShardSource } from '../data/dataset.js';
import { bucketOf } from '../data/location.js';
import { ShowtellError } from '../errors.js';
import type { Job } from '../job/job.js';
import { ShardCache } from './shard-cache.js';

/** A data folder on this machine, or the cache of one in a bucket, which `source` fills as it is read. */
export interface LocalData {
  readonly directory: string;
  readonly source: ShardSource | null;
}

/**
 * A location's folder on this machine: itself, or a bucket's cache with all but the shards in it.
 * @param location a folder, or `nats://HOST:PORT/BUCKET`
 * @throws ShowtellError as {@link ShardCache.open}
 */
export async function localData(location: string, { cacheBytes }: Pick<Job['data'], 'cacheBytes'>): Promise<LocalData> {
  const bucket = bucketOf(location);
  if (bucket === null) return { directory: location, source: null };
  const cache = await ShardCache.open(bucket, cacheBytes);
  return { directory: cache.directory, source: cache };
}

/** Opens a data set, wherever it is. @throws ShowtellError as {@link localData} and `openDataset` */
export async function openData(location: string, data: Pick<Job['data'], 'cacheBytes'>): Promise<Dataset> {
  const { directory, source } = await localData(location, data);
  return openDataset(directory, source);
}

/** Whether a bucket may hold the data set yet, if one waits: nobody has put it there, or NATS is not up. */
export function mayCome(error: unknown): error is ShowtellError {
  if (!(error instanceof ShowtellError)) return false;
  return ['bus/unreachable', 'bus/no-jetstream', 'data/bucket-missing', 'data/bucket-incomplete'].includes(
    error.code as string,
  );
}

/**
 * Tries until the data are there.
 * @param stopped asked between tries
 * @returns null when stopped
 * @throws ShowtellError the last try's after `seconds`; at once what no waiting mends
 */
export async function whenDataAreThere<T>(
  open: () => Promise<T>,
  seconds: number,
  stopped: () => boolean,
): Promise<T | null> {
  const deadline = performance.now() + seconds * 1000;
  while (!stopped()) {
    try {
      return await open();
    } catch (error) {
      if (!mayCome(error) || performance.now() > deadline) throw error;
    }
    await delay(1_000);
  }
  return null;
}

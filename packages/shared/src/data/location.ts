import { isAbsolute, resolve } from 'node:path';
import { ShowtellError } from '../errors.js';

/** A bucket of NATS' object store with a data folder's files in it. */
export interface BucketLocation {
  readonly server: string;
  readonly bucket: string;
}

const bucketPattern = '[A-Za-z0-9_-]{1,128}';
const bucketUrl = new RegExp(`^(nats://[^/]+)/(${bucketPattern})$`);

/** What a bucket may be called. */
export const bucketName = new RegExp(`^${bucketPattern}$`);

/**
 * What `--data` and `data.directory` name, if it is a bucket: `nats://HOST:PORT/BUCKET`; null: it is a folder.
 * @throws ShowtellError `usage/invalid` for a nats URL without a bucket
 */
export function bucketOf(location: string): BucketLocation | null {
  if (!location.startsWith('nats:')) return null;
  const [, server, bucket] = bucketUrl.exec(location) ?? [];
  if (server !== undefined && bucket !== undefined) return { server, bucket };
  const detail = `${location} names no bucket: data in NATS are nats://HOST:PORT/BUCKET, letters, digits, - and _`;
  throw new ShowtellError('usage/invalid', { detail, command: 'data push' });
}

/** @param server with or without `nats://` before it @throws ShowtellError `usage/invalid` */
export function bucketAt(server: string, bucket: string): BucketLocation {
  const url = (server.includes('://') ? server : `nats://${server}`).replace(/\/$/, '');
  const found = bucketOf(`${url}/${bucket}`);
  if (found !== null) return found;
  const detail = `${server} is no address of a NATS server such as nats://nats:4222`;
  throw new ShowtellError('usage/invalid', { detail, command: 'data push' });
}

export function locationOf({ server, bucket }: BucketLocation): string {
  return `${server}/${bucket}`;
}

/** A folder's path made absolute; a bucket as it is. */
export function absoluteLocation(location: string): string {
  return isAbsolute(location) || bucketOf(location) !== null ? location : resolve(location);
}

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { NatsError, type JetStreamManager, type NatsConnection, type ObjectStore } from 'nats';
import { z } from 'zod';
import type { BucketLocation } from '../data/location.js';
import { ShowtellError } from '../errors.js';
import { connectBus } from './connect.js';
import { chunksOf, inTime } from './object-chunks.js';

/** A file of a data folder, as it lies in a bucket. */
const listedFile = z.strictObject({
  name: z
    .string()
    .max(255)
    .regex(/^[^/\\\0]+$/)
    .refine((name) => name !== '.' && name !== '..'),
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ListedFile = z.infer<typeof listedFile>;

/** The object `dataset`: what the bucket holds. It is put last, so a bucket with it is whole. */
const listingSchema = z.strictObject({
  format: z.literal('showtell-bucket-1'),
  /** The data set's, as in dataset.json. */
  digest: z.string(),
  files: z.array(listedFile),
});
export type Listing = z.infer<typeof listingSchema>;

export const listingObject = 'dataset';

/** Ten thousand files' names and hashes take two. */
const mostListingBytes = 16 * 1_048_576;

/** A file's object. With the content's hash in its name it is never another content, whoever has put it there. */
export const objectNameOf = ({ name, sha256 }: ListedFile): string => `${name}.${sha256}`;

export const streamOf = (bucket: string): string => `OBJ_${bucket}`;

/** A data set in a bucket of NATS' object store, one object a file. */
export class ShardObjects implements AsyncDisposable {
  private constructor(
    readonly location: BucketLocation,
    private readonly connection: NatsConnection,
    private readonly store: ObjectStore,
  ) {}

  /** @throws ShowtellError `bus/unreachable`, `bus/no-jetstream`, `data/bucket-missing`, `data/bucket-not-permitted` */
  static async open(location: BucketLocation): Promise<ShardObjects> {
    const { server, bucket } = location;
    const connection = await connectBus({ servers: [server], name: `showtell data ${bucket}` });
    try {
      const manager = await jetStreamOf(connection, server);
      await whereAllowed(location, () => manager.streams.info(streamOf(bucket))).catch((cause: unknown) => {
        if (!isMissing(cause)) throw cause;
        throw new ShowtellError('data/bucket-missing', location, { cause });
      });
      return new ShardObjects(location, connection, await connection.jetstream().views.os(bucket));
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** @throws ShowtellError `data/bucket-incomplete`, `data/object-corrupt` */
  async listing(): Promise<Listing> {
    const found = await readListing(this.connection, this.store, this.location);
    if (found === null) throw new ShowtellError('data/bucket-incomplete', this.location);
    return found;
  }

  /**
   * Writes a file's bytes to `into`, synced.
   * @throws ShowtellError `data/object-corrupt` when they are not those listed; else what the connection or disk says
   */
  async receive(file: ListedFile, into: string): Promise<void> {
    const corrupt = (detail: string, cause?: unknown) =>
      new ShowtellError('data/object-corrupt', { ...this.location, object: objectNameOf(file), detail }, { cause });
    const found = await inTime(this.store.info(objectNameOf(file)));
    if (found === null || found.deleted) throw corrupt('it is not there');
    const hash = createHash('sha256');
    const handle = await open(into, 'w');
    try {
      let bytes = 0;
      for await (const chunk of chunksOf(this.connection, this.location.bucket, found)) {
        if (chunk === null) throw corrupt('parts of it are lost');
        bytes += chunk.length;
        if (bytes > file.bytes) throw corrupt(`it has more than its ${file.bytes} bytes`);
        hash.update(chunk);
        await handle.writeFile(chunk);
      }
      if (hash.digest('hex') !== file.sha256) throw corrupt('its content is not what its name says');
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close();
  }
}

/** Null: there is none. @throws ShowtellError `data/object-corrupt` */
export async function readListing(
  connection: NatsConnection,
  store: ObjectStore,
  location: BucketLocation,
): Promise<Listing | null> {
  const found = await inTime(store.info(listingObject));
  if (found === null || found.deleted) return null;
  const corrupt = (detail: string, cause?: unknown) =>
    new ShowtellError('data/object-corrupt', { ...location, object: listingObject, detail }, { cause });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(connection, location.bucket, found)) {
    parts.push(chunk ?? new Uint8Array());
    bytes += chunk?.length ?? 0;
    if (bytes > mostListingBytes) throw corrupt(`it has more than ${mostListingBytes} bytes`);
  }
  try {
    return listingSchema.parse(JSON.parse(Buffer.concat(parts).toString('utf8')));
  } catch (cause) {
    throw corrupt('it is no listing that this version reads', cause);
  }
}

/** @throws ShowtellError `bus/no-jetstream` */
export async function jetStreamOf(connection: NatsConnection, server: string): Promise<JetStreamManager> {
  try {
    return await connection.jetstreamManager();
  } catch (cause) {
    throw new ShowtellError('bus/no-jetstream', { server }, { cause });
  }
}

/**
 * Does something with a bucket that the certificates of this process may not allow.
 * @throws ShowtellError `data/bucket-not-permitted`; else what the work throws
 */
export async function whereAllowed<T>({ server, bucket }: BucketLocation, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isForbidden(cause)) throw cause;
    throw new ShowtellError('data/bucket-not-permitted', { server, bucket, detail: cause.message }, { cause });
  }
}

/** Whether that is what the server says of a subject that this process may not use. */
export const isForbidden = (error: unknown): error is NatsError =>
  error instanceof NatsError && error.isPermissionError();

const isMissing = (error: unknown): boolean => error instanceof NatsError && error.api_error?.code === 404;

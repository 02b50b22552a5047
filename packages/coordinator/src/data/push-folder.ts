import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { StorageType, type JetStreamManager, type NatsConnection, type ObjectInfo, type ObjectStore } from 'nats';
import { connectBus } from '@showtell/shared/bus/connect.js';
import {
  isForbidden,
  jetStreamOf,
  listingObject,
  objectNameOf,
  readListing,
  streamOf,
  whereAllowed,
  type ListedFile,
  type Listing,
} from '@showtell/shared/bus/shard-objects.js';
import { MANIFEST_FILE, openDataset, type Dataset } from '@showtell/shared/data/dataset.js';
import { locationOf, type BucketLocation } from '@showtell/shared/data/location.js';
import { SPLIT_NAMES } from '@showtell/shared/data/manifest.js';
import { indexFile } from '@showtell/shared/data/shard.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Progress } from '@showtell/shared/set-up/progress.js';

/** What has come of a push. */
export interface Pushed {
  /** What `--data` takes. */
  readonly location: string;
  readonly digest: string;
  readonly files: number;
  readonly sent: { readonly files: number; readonly bytes: number };
  readonly kept: { readonly files: number; readonly bytes: number };
}

/** Of an object's messages: fewer of them than by default, below every server's limit of 1 MiB. */
const chunkBytes = 512 * 1024;

/** Sent without the server's word that it has come so far. */
const aheadBytes = 8 * 1024 * 1024;

const answerMs = 30_000;

/** Parts of objects that nobody finished are removed when they are this old: another push may be at work. */
const abandonedMs = 60_000;

/**
 * Puts a data folder into a bucket, one object a file: what is there already, whole and the same, is left; the listing
 * comes last, so that a bucket that was broken off is no data set yet.
 *
 * @throws ShowtellError `bus/unreachable`, `bus/no-jetstream`, `data/bucket-occupied`, `data/bucket-refused`,
 * `data/bucket-not-permitted`; as `openDataset`
 */
export async function pushFolder(directory: string, location: BucketLocation, progress: Progress): Promise<Pushed> {
  const { server, bucket } = location;
  const dataset = await openDataset(directory);
  const connection = await connectBus({ servers: [server], name: `showtell data push ${bucket}` });
  try {
    const push = new Push(dataset, { server, bucket }, connection, await jetStreamOf(connection, server));
    return await whereAllowed({ server, bucket }, () => push.run(progress));
  } finally {
    await connection.close();
  }
}

class Push {
  constructor(
    private readonly dataset: Dataset,
    private readonly location: BucketLocation,
    private readonly connection: NatsConnection,
    private readonly manager: JetStreamManager,
  ) {}

  async run(progress: Progress): Promise<Pushed> {
    const { dataset, location } = this;
    const options = { storage: StorageType.File, description: `showtell data set ${dataset.digest}` };
    const store = await this.accepted(() => this.connection.jetstream().views.os(location.bucket, options));
    const before = await readListing(this.connection, store, location);
    if (before !== null && before.digest !== dataset.digest) throw this.occupied(before);
    const there = await this.wholeObjects(store);

    const names = filesOf(dataset);
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(dataset.directory, name))).size));
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    progress.step(`${dataset.directory}: ${names.length} files to ${locationOf(location)}`);
    let done = 0;
    const files: ListedFile[] = [];
    const [sent, kept] = [
      { files: 0, bytes: 0 },
      { files: 0, bytes: 0 },
    ];
    for (const [i, name] of names.entries()) {
      const path = join(dataset.directory, name);
      const file = { name, bytes: sizes[i] ?? 0, sha256: await hashOf(path) };
      const isThere = there.get(objectNameOf(file)) === digestText(file);
      if (!isThere) await this.accepted(() => this.send(store, file, path, (bytes) => progress.bytes(done + bytes, total)));
      const tally = isThere ? kept : sent;
      tally.files++;
      tally.bytes += file.bytes;
      files.push(file);
      progress.bytes((done += file.bytes), total);
    }
    progress.end();

    const listing: Listing = { format: 'showtell-bucket-1', digest: dataset.digest, files };
    if (JSON.stringify(before) !== JSON.stringify(listing)) {
      // Somebody may have been faster with other data.
      const now = await readListing(this.connection, store, location);
      if (now !== null && now.digest !== dataset.digest) throw this.occupied(now);
      await this.accepted(() => store.putBlob({ name: listingObject }, Buffer.from(JSON.stringify(listing))));
    }
    await this.tidy(store, listing);
    return { location: locationOf(location), digest: dataset.digest, files: files.length, sent, kept };
  }

  /** Objects with all their chunks there: the digest that the store computed as they came, by name. */
  private async wholeObjects(store: ObjectStore): Promise<ReadonlyMap<string, string>> {
    const chunks = await this.chunksOf('>');
    const isWhole = ({ nuid, chunks: count }: ObjectInfo): boolean => (chunks[this.chunkSubject(nuid)] ?? 0) === count;
    return new Map((await store.list()).filter(isWhole).map(({ name, digest }) => [name, digest]));
  }

  private async send(store: ObjectStore, file: ListedFile, path: string, told: (bytes: number) => void): Promise<void> {
    const { connection } = this;
    async function* paced(): AsyncGenerator<Uint8Array> {
      let [bytes, ahead] = [0, 0];
      for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes }) as AsyncIterable<Buffer>) {
        yield chunk;
        ahead += chunk.length;
        told((bytes += chunk.length));
        if (ahead < aheadBytes) continue;
        ahead = 0;
        await connection.flush();
      }
    }
    const meta = { name: objectNameOf(file), options: { max_chunk_size: chunkBytes } };
    const body = Readable.toWeb(Readable.from(paced(), { objectMode: true })) as ReadableStream<Uint8Array>;
    const info = await store.put(meta, body, { timeout: answerMs });
    if (info.digest === digestText(file)) return;
    const detail = 'it was changed while it was sent';
    throw new ShowtellError('data/shard-unreadable', { file: path, detail });
  }

  /** Removes what the listing does not name: of an earlier form of the data set, and of pushes broken off. */
  private async tidy(store: ObjectStore, listing: Listing): Promise<void> {
    const named = new Set([listingObject, ...listing.files.map(objectNameOf)]);
    const objects = await store.list();
    for (const { name } of objects) if (!named.has(name)) await store.delete(name);
    const used = new Set(objects.map(({ nuid }) => this.chunkSubject(nuid)));
    for (const subject of Object.keys(await this.chunksOf('>'))) {
      if (used.has(subject)) continue;
      const stream = streamOf(this.location.bucket);
      const last = await this.manager.streams.getMessage(stream, { last_by_subj: subject }).catch(() => null);
      if (last !== null && Date.now() - last.time.getTime() > abandonedMs)
        await this.manager.streams.purge(stream, { filter: subject });
    }
  }

  private chunkSubject(nuid: string): string {
    return `$O.${this.location.bucket}.C.${nuid}`;
  }

  /** Messages of each subject of chunks. */
  private async chunksOf(nuid: string): Promise<Record<string, number>> {
    const options = { subjects_filter: this.chunkSubject(nuid) };
    const { state } = await this.manager.streams.info(streamOf(this.location.bucket), options);
    return state.subjects ?? {};
  }

  private occupied(there: Listing): ShowtellError {
    const { directory, digest } = this.dataset;
    return new ShowtellError('data/bucket-occupied', { ...this.location, there: there.digest, directory, given: digest });
  }

  private async accepted<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof ShowtellError || isForbidden(cause)) throw cause;
      const detail = (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '');
      if (this.connection.isClosed())
        throw new ShowtellError('bus/unreachable', { servers: this.location.server }, { cause });
      throw new ShowtellError('data/bucket-refused', { ...this.location, detail }, { cause });
    }
  }
}

/** What a coordinator or worker may read of a data folder. */
function filesOf({ manifest }: Dataset): string[] {
  const captions = SPLIT_NAMES.map((name) => manifest.splits[name].captions).filter((file) => file !== null);
  const shards = SPLIT_NAMES.flatMap((name) => manifest.splits[name].shards.map(({ file }) => file));
  const indexes = shards.map((file) => basename(indexFile(file)));
  return [...new Set([MANIFEST_FILE, manifest.vocabulary.file, ...captions, ...indexes, ...shards])];
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** As the object store writes a digest. */
const digestText = ({ sha256 }: ListedFile): string =>
  `SHA-256=${Buffer.from(sha256, 'hex').toString('base64').replaceAll('+', '-').replaceAll('/', '_')}`;

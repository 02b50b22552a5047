import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ShardSource } from '../data/dataset.js';
import { locationOf, type BucketLocation } from '../data/location.js';
import { ShowtellError } from '../errors.js';
import { cacheFolder } from '../set-up/cache-folder.js';
import { withFileLock } from '../set-up/file-lock.js';
import { ShardObjects, type ListedFile, type Listing } from './shard-objects.js';

/** Files fetched at once by one process: one keeps its thread busy, and each takes some 25 MB of nats-server's memory. */
const atOnce = 2;

/** A file is asked for again for so long, as while NATS is started anew. */
const patienceMs = 120_000;

/** A connection that nothing was fetched by for so long is closed. */
const idleMs = 5_000;

/**
 * The files of a bucket on this host's disk, in a folder that looks like the data folder they came from. Processes share
 * it: a file is fetched by one of them, written beside its name and renamed. Each process hashes a file once before
 * it uses it.
 */
export class ShardCache implements ShardSource {
  readonly location: string;
  private readonly files: ReadonlyMap<string, ListedFile>;
  private readonly sound = new Map<string, Promise<void>>();
  private readonly waiting: (() => void)[] = [];
  private busy = 0;
  private objects: Promise<ShardObjects> | null = null;
  private idle: NodeJS.Timeout | undefined;

  /** @param limit bytes that shards of all data sets together may take; null: as many as there are */
  constructor(
    private readonly bucket: BucketLocation,
    listing: Listing,
    readonly directory: string,
    private readonly limit: number | null,
  ) {
    this.location = locationOf(bucket);
    this.files = new Map(listing.files.map((file) => [file.name, file]));
  }

  /**
   * A bucket's cache with all but its shards in it.
   * @throws ShowtellError as {@link ShardObjects.open}, `data/cache-too-small`, `setup/cache-unwritable`
   */
  static async open(bucket: BucketLocation, limit: number | null): Promise<ShardCache> {
    await using objects = await ShardObjects.open(bucket);
    const listing = await objects.listing();
    const shards = shardsOf(listing);
    const needed = shards.reduce((sum, { bytes }) => sum + bytes, 0);
    if (limit !== null && needed > limit)
      throw new ShowtellError('data/cache-too-small', { bucket: locationOf(bucket), needed, limit });
    const key = createHash('sha256').update(JSON.stringify(listing)).digest('hex').slice(0, 16);
    const cache = new ShardCache(bucket, listing, join(cacheFolder(), 'data', key), limit);
    await Promise.all(listing.files.filter((file) => !shards.includes(file)).map(({ name }) => cache.fetch(name)));
    return cache;
  }

  /** @throws ShowtellError `data/object-corrupt`, `bus/unreachable` after two minutes, `setup/cache-unwritable` */
  async fetch(name: string): Promise<void> {
    const file = this.files.get(name);
    if (file === undefined) throw new ShowtellError('file/missing', { file: name, what: `In ${this.location},` });
    let sound = this.sound.get(name);
    if (sound === undefined) {
      sound = this.oneOfFew(() => this.have(file));
      this.sound.set(name, sound);
      sound.catch(() => this.sound.delete(name));
    }
    await sound;
  }

  async discard(name: string): Promise<void> {
    this.sound.delete(name);
    await rm(join(this.directory, name), { force: true });
  }

  private async have(file: ListedFile): Promise<void> {
    const path = join(this.directory, file.name);
    if (await isSound(path, file)) return;
    await withFileLock(`${path}.lock`, async () => {
      // Another process may have fetched it meanwhile.
      if (await isSound(path, file)) return;
      await this.makeRoom(file.bytes);
      await this.receive(file, `${path}.partial`);
      await rename(`${path}.partial`, path);
    });
  }

  private async receive(file: ListedFile, into: string): Promise<void> {
    const deadline = performance.now() + patienceMs;
    for (let pauseMs = 250; ; pauseMs = Math.min(pauseMs * 2, 5_000)) {
      try {
        await (await this.connected()).receive(file, into);
        return;
      } catch (cause) {
        const code = cause instanceof ShowtellError ? (cause.code as string) : null;
        const { code: errno } = cause as NodeJS.ErrnoException;
        if (errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EACCES')
          throw new ShowtellError('setup/cache-unwritable', { file: into, detail: errno }, { cause });
        if (code !== null && code !== 'bus/unreachable' && code !== 'bus/no-jetstream') throw cause;
        await this.disconnect();
        if (performance.now() > deadline) {
          if (code !== null) throw cause;
          throw new ShowtellError('bus/unreachable', { servers: this.bucket.server }, { cause });
        }
        await delay(pauseMs);
      }
    }
  }

  /** Removes what was longest not used of other data sets; what a process has open stays readable to it. */
  private async makeRoom(bytes: number): Promise<void> {
    if (this.limit === null) return;
    const root = join(this.directory, '..');
    const kept: { path: string; bytes: number; usedMs: number }[] = [];
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const stats = await stat(path).catch(() => null);
      if (stats !== null) kept.push({ path, bytes: stats.size, usedMs: stats.mtimeMs });
    }
    let taken = kept.reduce((sum, file) => sum + file.bytes, 0);
    const others = kept.filter(({ path }) => !path.startsWith(join(this.directory, '/')));
    for (const { path, bytes: freed } of others.sort((a, b) => a.usedMs - b.usedMs)) {
      if (taken + bytes <= this.limit) return;
      await rm(path, { force: true });
      taken -= freed;
    }
  }

  private async oneOfFew<T>(work: () => Promise<T>): Promise<T> {
    if (this.busy >= atOnce) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.busy++;
    clearTimeout(this.idle);
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next !== undefined) next();
      else if (--this.busy === 0) this.idle = setTimeout(() => void this.disconnect(), idleMs);
    }
  }

  private connected(): Promise<ShardObjects> {
    this.objects ??= ShardObjects.open(this.bucket);
    return this.objects;
  }

  private async disconnect(): Promise<void> {
    const { objects } = this;
    this.objects = null;
    await (await objects?.catch(() => null))?.[Symbol.asyncDispose]();
  }
}

const shardsOf = ({ files }: Listing): ListedFile[] =>
  files.filter(({ name }) => files.some((other) => other.name === `${name}.index`));

/** Whether it is there with the bytes that are listed; marks it as used. */
async function isSound(path: string, { bytes, sha256 }: ListedFile): Promise<boolean> {
  await mkdir(join(path, '..'), { recursive: true }).catch((cause: unknown) => {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new ShowtellError('setup/cache-unwritable', { file: path, detail }, { cause });
  });
  const stats = await stat(path).catch(() => null);
  if (stats?.size !== bytes) return false;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer);
  if (hash.digest('hex') !== sha256) return false;
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined);
  return true;
}

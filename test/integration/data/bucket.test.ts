import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { connectBus } from '@showtell/shared/bus/connect.js';
import { openData } from '@showtell/shared/bus/open-data.js';
import { ShardCache } from '@showtell/shared/bus/shard-cache.js';
import { ShardObjects } from '@showtell/shared/bus/shard-objects.js';
import { closeRecords, openDataset, readRecord, renewShard } from '@showtell/shared/data/dataset.js';
import { bucketAt } from '@showtell/shared/data/location.js';
import { bitsOf, LocalCluster } from '../../support/local-run.js';
import { startNatsWith } from '../../support/nats-server.js';

const shard = 'train-00000-of-00001';

describe("a data set in NATS' object store", () => {
  const local = LocalCluster.open();
  const other = local.at('other');
  const cached = (): string => {
    const root = join(local.cache, 'data');
    const [folder = ''] = readdirSync(root);
    return join(root, folder, shard);
  };

  beforeAll(async () => {
    process.env['SHOWTELL_CACHE'] = local.cache;
    await local.drawData();
    await local.drawData(16, other);
    return () => delete process.env['SHOWTELL_CACHE'];
  });

  const serve = async (configuration = 'jetstream { store_dir: "STORE" }'): Promise<string> => {
    const nats = await startNatsWith(configuration);
    onTestFinished(() => nats[Symbol.asyncDispose]());
    return nats.url;
  };
  const push = async (url: string, directory = local.data) => {
    const ended = await local.run(['data', 'push', directory, '--nats', url, '--bucket', 'b', '--json']);
    const said = ended.code === 0 ? (JSON.parse(ended.stdout) as { sent: { files: number } }) : null;
    return { ...ended, sent: said?.sent.files };
  };
  /** The bucket as a client of NATS has it, with the stream beneath. */
  const bucket = async (url: string) => {
    const connection = await connectBus({ servers: [url], name: 'test' });
    onTestFinished(() => connection.close());
    const store = await connection.jetstream().views.os('b');
    const objectOf = async (name: string) => {
      const found = (await store.list()).find((object) => /^(.*)\.[0-9a-f]{64}$/.exec(object.name)?.[1] === name);
      if (found === undefined) throw new Error(`no object of ${name}`);
      return found;
    };
    return { store, manager: await connection.jetstreamManager(), objectOf };
  };

  it('trains to the bits of the folder, the cache shared by workers and kept', async () => {
    const url = await serve();
    expect(await push(url)).toMatchObject({ code: 0, sent: 11 });
    expect(await push(url)).toMatchObject({ code: 0, sent: 0 });
    await local.trained(local.at('folder'), { workers: 1 });
    const data = `${url}/b`;
    await local.trained(local.at('bucket'), { workers: 2, data });
    expect(bitsOf(local.at('bucket'))).toEqual(bitsOf(local.at('folder')));
    expect(readFileSync(cached())).toEqual(readFileSync(join(local.data, shard)));
    expect(readdirSync(join(cached(), '..')).filter((name) => /partial|lock/.test(name))).toEqual([]);
    // A run out of a bucket has its words itself.
    expect(existsSync(local.at('bucket', 'word_counts.txt'))).toBe(true);

    // As a disk does it: the length stays.
    const bytes = readFileSync(cached());
    bytes.writeUInt8(bytes.readUInt8(1000) ^ 1, 1000);
    writeFileSync(cached(), bytes);
    await local.trained(local.at('again'), { workers: 1, data });
    expect(bitsOf(local.at('again'))).toEqual(bitsOf(local.at('folder')));
    expect(readFileSync(cached())).toEqual(readFileSync(join(local.data, shard)));
  }, 240_000);

  it('has a shard anew that is damaged while it is in use', async () => {
    const url = await serve();
    await push(url);
    const [dataset, same] = [await openData(`${url}/b`, { cacheBytes: null }), await openDataset(local.data)];
    onTestFinished(() => closeRecords(dataset));
    onTestFinished(() => closeRecords(same));
    const train = dataset.split('train');
    const wanted = await readRecord(same.split('train'), train.record(0));
    expect(await readRecord(train, train.record(0))).toEqual(wanted);
    const bytes = readFileSync(cached());
    bytes.writeUInt8(bytes.readUInt8(1000) ^ 1, 1000);
    writeFileSync(cached(), bytes);
    await expect(readRecord(train, train.record(0))).rejects.toMatchObject({ code: 'data/record-corrupt' });
    await renewShard(train, 0);
    expect(await readRecord(train, train.record(0))).toEqual(wanted);
  });

  it('is fetched whole by two at once, and leaves other sets as long as there is room', async () => {
    const url = await serve();
    await push(url);
    const two = await Promise.all([1, 2].map(() => ShardCache.open(bucketAt(url, 'b'), null)));
    await two[0]?.discard(shard);
    await Promise.all(two.map((cache) => cache.fetch(shard)));
    expect(readFileSync(cached())).toEqual(readFileSync(join(local.data, shard)));

    const elsewhere = await serve();
    await push(elsewhere, other);
    const there = bucketAt(elsewhere, 'b');
    await expect(ShardCache.open(there, 1000)).rejects.toMatchObject({
      code: 'data/cache-too-small',
      message: expect.stringContaining('data.cacheBytes') as string,
    });
    const roomy = await ShardCache.open(there, 10_000_000);
    await roomy.fetch(shard);
    expect(existsSync(cached())).toBe(true);
    await roomy.discard(shard);
    // Room for this set alone: the one that was not used for longer goes.
    const { splits } = (await openDataset(other)).manifest;
    const shards = Object.values(splits).flatMap((split) => split.shards);
    const narrow = await ShardCache.open(
      there,
      shards.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    for (const { file } of shards) await narrow.fetch(file);
    expect(readFileSync(join(narrow.directory, shard))).toEqual(readFileSync(join(other, shard)));
    const left = readdirSync(join(local.cache, 'data')).filter((name) => existsSync(join(local.cache, 'data', name, shard)));
    expect(left.map((name) => join(local.cache, 'data', name))).toEqual([narrow.directory]);
  });

  it('tells of a damaged object by name, and is mended by the next push', async () => {
    const url = await serve();
    await push(url);
    const { store, manager, objectOf } = await bucket(url);
    const receive = async (): Promise<void> => {
      await using objects = await ShardObjects.open(bucketAt(url, 'b'));
      const file = (await objects.listing()).files.find(({ name }) => name === shard);
      if (file === undefined) throw new Error('not listed');
      await objects.receive(file, local.at('received'));
    };
    const damaged = { code: 'data/object-corrupt', message: expect.stringContaining(`${shard}.`) as string };

    // Another content by that name.
    const { name } = await objectOf(shard);
    await store.putBlob({ name }, Buffer.from('something else'));
    await expect(receive()).rejects.toMatchObject(damaged);
    expect(await push(url)).toMatchObject({ code: 0, sent: 1 });
    await receive();

    // A part of it lost, as of a disk.
    const { nuid } = await objectOf(shard);
    const { seq } = await manager.streams.getMessage('OBJ_b', { last_by_subj: `$O.b.C.${nuid}` });
    await manager.streams.deleteMessage('OBJ_b', seq);
    await manager.streams.purge('OBJ_b', { filter: `$O.b.C.${(await objectOf('captions-val.json')).nuid}` });
    await store.delete((await objectOf('word_counts.txt')).name);
    expect(await push(url)).toMatchObject({ code: 0, sent: 3 });
    await receive();
    expect(readFileSync(local.at('received'))).toEqual(readFileSync(join(local.data, shard)));

    await store.delete((await objectOf(`${shard}.index`)).name);
    rmSync(join(local.cache, 'data'), { recursive: true });
    const job = local.writeJob('tiny');
    const train = await local.run(['train', job, '--run', local.at('damaged'), '--data', `${url}/b`]);
    expect(train).toMatchObject({ code: 65, stderr: expect.stringContaining('it is not there') as string });
    expect(train.stderr).toContain(`showtell data push DATA --nats ${url} --bucket b`);
  }, 120_000);

  it('goes on with a push that was broken off, which is no data set until then', async () => {
    const url = await serve();
    await push(url);
    const { store, objectOf } = await bucket(url);
    await store.delete('dataset');
    await store.delete((await objectOf(shard)).name);
    await expect(openData(`${url}/b`, { cacheBytes: null })).rejects.toMatchObject({ code: 'data/bucket-incomplete' });
    expect(await push(url)).toMatchObject({ code: 0, sent: 1 });
    await openData(`${url}/b`, { cacheBytes: null });

    // Captions that were mended: the same records, and what the new listing does not name is gone.
    const file = join(local.data, 'captions-val.json');
    const before = readFileSync(file);
    writeFileSync(file, `${before.toString('utf8')}\n`);
    expect(await push(url)).toMatchObject({ code: 0, sent: 1 });
    writeFileSync(file, before);
    expect((await store.list()).filter(({ name }) => name.startsWith('captions-val'))).toHaveLength(1);
  });

  it('says what is wrong: nothing there, no JetStream, no room, other data', async () => {
    const url = await serve();
    const train = (data: string) =>
      local.run(['train', local.writeJob('tiny'), '--run', local.at('none'), '--data', data]);
    const missing = await train(`${url}/b`);
    expect(missing).toMatchObject({ code: 69 });
    expect(missing.stderr).toMatch(/There is no bucket b at nats:[^]*showtell data push DATA --nats nats:/);
    expect(existsSync(local.at('none'))).toBe(false);
    expect(await train(url)).toMatchObject({ code: 64, stderr: expect.stringContaining('names no bucket') as string });
    expect(await train('nats://127.0.0.1:1/b')).toMatchObject({ code: 69 });
    expect((await push('http://127.0.0.1:1')).code).toBe(64);

    await push(url);
    const occupied = await push(url, other);
    expect(occupied).toMatchObject({ code: 73, stderr: expect.stringContaining('another data set') as string });
    expect(await push(url)).toMatchObject({ code: 0, sent: 0 });

    const plain = await serve('');
    expect(await push(plain)).toMatchObject({ code: 69, stderr: expect.stringContaining('no JetStream') as string });
    const small = await serve('jetstream { store_dir: "STORE", max_file_store: 100KB }');
    const full = await push(small);
    expect(full).toMatchObject({ code: 73, stderr: expect.stringContaining('takes no more') as string });
    await expect(openData(`${small}/b`, { cacheBytes: null })).rejects.toMatchObject({ code: 'data/bucket-incomplete' });
  }, 120_000);
});

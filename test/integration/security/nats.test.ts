import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { AckPolicy, Events, type NatsConnection, StorageType } from 'nats';
import { silent } from '@showtell/shared/set-up/progress.js';
import { pushFolder } from '@showtell/coordinator/data/push-folder.js';
import { connectBus } from '@showtell/shared/bus/connect.js';
import { openData } from '@showtell/shared/bus/open-data.js';
import { closeRecords } from '@showtell/shared/data/dataset.js';
import { bucketAt, locationOf } from '@showtell/shared/data/location.js';
import type { Role } from '@showtell/shared/security/role.js';
import type { TlsFolder } from '@showtell/shared/security/tls-folder.js';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { testCerts, type TestCerts } from '../../support/certs.js';
import { tinyData } from '../../support/coordinator-cluster.js';
import { eventually } from '../../support/eventually.js';
import { startTestNats, type TestNats } from '../../support/nats-server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

let certs: TestCerts;
let others: TestCerts;
let nats: TestNats;
beforeAll(async () => {
  [certs, others] = await Promise.all([testCerts(), testCerts()]);
  nats = await startTestNats(join(certs.directory, 'nats'));
});
afterAll(async () => {
  await nats[Symbol.asyncDispose]();
  certs[Symbol.dispose]();
  others[Symbol.dispose]();
});

async function connected(tls: TlsFolder | null, giveUpAfterMs = 10_000): Promise<NatsConnection> {
  const connection = await connectBus({ servers: [nats.url], name: 'test', giveUpAfterMs, tls });
  onTestFinished(() => connection.close());
  return connection;
}

/** What the server forbids on a connection, as it says it. */
function forbidden(connection: NatsConnection): string[] {
  const said: string[] = [];
  void (async () => {
    for await (const { type, permissionContext } of connection.status())
      if (type === Events.Error && permissionContext !== undefined)
        said.push(`${permissionContext.operation} ${permissionContext.subject}`);
  })();
  return said;
}

describe('NATS with certificates', () => {
  it('takes nobody without them, with those of another authority, or with another key', async () => {
    const refusal = { code: 'bus/refused' };
    await expect(connected(null)).rejects.toMatchObject(refusal);
    await expect(connected(others.of('worker'))).rejects.toMatchObject(refusal);
  });

  it('lets a worker take units and nothing else', async () => {
    const coordinator = await connected(certs.of('coordinator'));
    const manager = await coordinator.jetstreamManager();
    await manager.streams.add({
      name: 'showtell-r-g1',
      subjects: ['showtell.r.g1.units.>'],
      storage: StorageType.Memory,
    });
    for (const durable_name of ['now', 'other'])
      await manager.consumers.add('showtell-r-g1', { durable_name, ack_policy: AckPolicy.Explicit });
    await coordinator.jetstream().publish('showtell.r.g1.units.now.1', 'unit');

    const worker = await connected(certs.of('worker'));
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    const message = await worker.jetstream().pull('showtell-r-g1', 'now', 1_000);
    expect(message.string()).toBe('unit');
    expect(await message.ackAck()).toBe(true);

    const said = forbidden(worker);
    const denied = [
      'showtell.r.g1.units.now.2',
      'showtell.r.command',
      '$JS.API.STREAM.DELETE.showtell-r-g1',
      '$JS.API.STREAM.PURGE.showtell-r-g1',
      '$JS.API.STREAM.CREATE.mine',
      '$JS.API.CONSUMER.DELETE.showtell-r-g1.now',
      '$JS.API.CONSUMER.CREATE.showtell-r-g1',
      '$JS.API.CONSUMER.MSG.NEXT.showtell-r-g1.other',
      '$O.showtell-data.C.x',
      '_INBOX_client.x',
    ];
    for (const subject of denied) worker.publish(subject);
    worker.subscribe('showtell.>');
    worker.subscribe('_INBOX_client.>');
    worker.subscribe('_INBOX.>');
    const all = [...denied.map((subject) => `publish ${subject}`), 'showtell.>', '_INBOX_client.>', '_INBOX.>'];
    await eventually('all of it is forbidden', () => said.length >= all.length);
    for (const what of all) expect(said.join('\n')).toContain(what);
    expect((await manager.streams.info('showtell-r-g1')).state.messages).toBe(1);
  });

  it('sends answers nowhere that a worker may not', async () => {
    const [coordinator, client] = [await connected(certs.of('coordinator')), await connected(certs.of('client'))];
    const manager = await coordinator.jetstreamManager();
    await manager.streams.add({ name: 'kept', subjects: ['showtell.k.>'], storage: StorageType.Memory });
    await client.jetstream().views.os('showtell-data');
    await coordinator.jetstream().publish('showtell.k.1', 'kept');
    await (await client.jetstream().views.os('showtell-data')).putBlob({ name: 'x' }, Buffer.from('{}'));
    const worker = await connected(certs.of('worker'));
    const requests = ['$JS.API.INFO', '$JS.API.STREAM.INFO.OBJ_showtell-data', '$JS.API.DIRECT.GET.OBJ_showtell-data'];
    const targets = ['$JS.API.STREAM.PURGE.kept', '$JS.API.STREAM.DELETE.kept', 'showtell.k.2', '_INBOX_client.x'];
    const seen: string[] = [];
    client.subscribe('_INBOX_client.>', { callback: (_, { subject }) => void seen.push(subject) });
    await client.flush();
    for (const request of requests)
      for (const reply of targets) worker.publish(request, JSON.stringify({ seq: 1 }), { reply });
    await worker.flush();
    // All of it was handled once this, asked later, is answered.
    await worker.request('$JS.API.INFO', '', { timeout: 5_000 });
    await manager.streams.info('OBJ_showtell-data');
    expect((await manager.streams.info('kept')).state).toMatchObject({ messages: 1, last_seq: 1 });
    expect(seen.filter((subject) => subject === '_INBOX_client.x')).toEqual([]);
  });

  it("lets the command line ask a run's coordinator, and forge no units", async () => {
    const coordinator = await connected(certs.of('coordinator'));
    coordinator.subscribe('showtell.r.command', { callback: (_, message) => void message.respond('yes') });
    await coordinator.flush();
    const client = await connected(certs.of('client'));
    expect((await client.request('showtell.r.command', 'status', { timeout: 5_000 })).string()).toBe('yes');
    const said = forbidden(client);
    client.publish('showtell.r.g1.units.now.1');
    client.publish('$JS.API.STREAM.DELETE.showtell-r-g1');
    await eventually('it is forbidden', () => said.length === 2);
  });

  it('has data put by the command line and read by workers, who cannot write them', async () => {
    await using data = await tinyData();
    const location = bucketAt(nats.url, 'showtell-data');
    const as = async <T>(role: Role, work: () => Promise<T>): Promise<T> => {
      process.env['SHOWTELL_TLS'] = join(certs.directory, role);
      try {
        return await work();
      } finally {
        delete process.env['SHOWTELL_TLS'];
      }
    };
    process.env['SHOWTELL_CACHE'] = temporaryFolder();
    onTestFinished(() => {
      delete process.env['SHOWTELL_CACHE'];
    });
    const { directory } = data.dataset;
    expect((await as('client', () => pushFolder(directory, location, silent))).sent.files).toBeGreaterThan(0);
    for (const role of ['worker', 'coordinator'] as const) {
      const read = await as(role, () => openData(locationOf(location), { cacheBytes: null }));
      expect(read.digest).toBe(data.dataset.digest);
      await closeRecords(read);
    }
    const other = { ...location, bucket: 'mine' };
    const refused = { code: 'data/bucket-not-permitted', exitCode: 77, facts: { bucket: 'mine' } };
    for (const role of ['worker', 'client'] as const)
      await expect(as(role, () => pushFolder(directory, other, silent))).rejects.toMatchObject(refused);
    for (const role of ['worker', 'client'] as const)
      await expect(
        as(role, () => openData(locationOf(other), { cacheBytes: null })),
        role,
      ).rejects.toMatchObject(refused);
  });

  it('is used on with renewed files by those who were there before, also when the authority is another', async () => {
    using renewed = await testCerts();
    await using own = await startTestNats(join(renewed.directory, 'nats'));
    const states: string[] = [];
    const onState = ({ type }: { type: string }): void => void states.push(type);
    const before = await connectBus({ servers: [own.url], name: 'before', tls: renewed.of('worker'), onState });
    onTestFinished(() => before.close());
    const strangers = others.of('worker');
    await expect(connectBus({ servers: [own.url], name: 'x', tls: strangers })).rejects.toMatchObject({
      code: 'bus/refused',
    });

    cpSync(others.directory, renewed.directory, { recursive: true });
    await eventually('new files are taken', async () => {
      const connection = await connectBus({ servers: [own.url], name: 'x', tls: strangers }).catch(() => null);
      // The server reads its files anew meanwhile.
      await connection?.close().catch(() => undefined);
      return connection !== null;
    });
    own.restart();
    await eventually('the old connection is up again', () => states.includes('reconnected'));
    await eventually('it is answered', () =>
      before.flush().then(
        () => true,
        () => false,
      ),
    );
  });
});

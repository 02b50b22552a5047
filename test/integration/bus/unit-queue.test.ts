import { ErrorCode, type NatsConnection, type NatsError } from 'nats';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { connectBus, type BusState } from '@showtell/shared/bus/connect.js';
import { UnitQueue, UnitQueuePublisher, unitStreamName } from '@showtell/shared/bus/unit-queue.js';
import { Unit, type UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { seal } from '@showtell/shared/rpc/seal.js';
import { eventually } from '../../support/eventually.js';
import { startTestNats, type TestNats } from '../../support/nats-server.js';

let nats: TestNats;
beforeAll(async () => {
  nats = await startTestNats();
});
afterAll(() => nats[Symbol.asyncDispose]());

async function connectTo(url: string, onState?: (state: BusState) => void): Promise<NatsConnection> {
  const connection = await connectBus({ servers: [url], name: 'test', ...(onState === undefined ? {} : { onState }) });
  onTestFinished(() => connection.close());
  return connection;
}

let runs = 0;
async function openQueue(
  leaseMs = 30_000,
  generation = 1,
): Promise<{
  run: string;
  publisher: UnitQueuePublisher;
  worker: UnitQueue;
  other: UnitQueue;
  connection: NatsConnection;
}> {
  const run = `r${runs++}`;
  const connection = await connectTo(nats.url);
  const publisher = await UnitQueuePublisher.open(connection, { run, generation, leaseMs });
  const worker = new UnitQueue(await connectTo(nats.url), publisher.stream);
  const other = new UnitQueue(await connectTo(nats.url), publisher.stream);
  return { run, publisher, worker, other, connection };
}

/** ms in which what was published is there to be taken, on a machine that is busy too. */
const soon = 2_000;

function unit(step: number, index: number, more: Partial<UnitId> = {}): Unit & { id: UnitId } {
  const id = { run: 'r', generation: 1, lineage: 1, step, index, attempt: 1, evaluation: false, ...more };
  const records = [{ shard: 0, offset: 12, length: 100 }];
  return {
    id,
    jobSha256: 'j',
    work: { $case: 'training', value: { records, seed: 0xffff_fff0, oldestVersion: step } },
  };
}

describe('UnitQueue', () => {
  it('gives units in the order of their publishing, each lane by itself', async () => {
    const { publisher, worker } = await openQueue();
    await publisher.publish('ahead', unit(1, 0));
    await publisher.publish('ahead', unit(1, 1));
    await publisher.publish('now', unit(0, 0));
    const [now, first, second] = [
      await worker.pull('now', soon),
      await worker.pull('ahead', soon),
      await worker.pull('ahead', soon),
    ];
    expect(now?.lane).toBe('now');
    expect(now?.unit).toEqual(unit(0, 0));
    expect([first, second].map((lease) => lease?.unit.id.index)).toEqual([0, 1]);
    expect([await worker.pull('now'), await worker.pull('ahead')]).toEqual([null, null]);
  });

  it('waits for a unit as long as it is told', async () => {
    const { publisher, worker } = await openQueue();
    const began = Date.now();
    expect(await worker.pull('now', 300)).toBeNull();
    expect(Date.now() - began).toBeGreaterThanOrEqual(250);
    const coming = worker.pull('now', 5_000);
    await publisher.publish('now', unit(0, 3));
    expect((await coming)?.unit.id.index).toBe(3);
  });

  it('takes what nobody could work on out of the queue, for every worker', async () => {
    const { run, publisher, worker, other, connection } = await openQueue();
    const idle = { ...unit(0, 1), work: undefined };
    const records = [{ shard: 0, offset: 12, length: 100 }];
    const elsewhere = { $case: 'evaluation', value: { kind: 1, split: 'nowhere', records } } as const;
    const subject = `showtell.${run}.g1.units.now`;
    connection.publish(`${subject}.a`, seal(Buffer.from('no message')));
    connection.publish(`${subject}.b`, seal(Unit.encode(idle).finish()));
    connection.publish(`${subject}.c`, seal(Unit.encode({ ...unit(0, 2), work: elsewhere }).finish()));
    await connection.flush();
    await publisher.publish('now', unit(0, 3));
    const got = [
      await worker.pull('now', soon),
      await other.pull('now', soon),
      await worker.pull('now', soon),
      await other.pull('now', soon),
    ];
    expect(got.map((lease) => lease?.unit.id.index ?? null)).toEqual([null, null, null, 3]);
    await eventually('nothing of it is left', async () => (await publisher.depth()).now.unacknowledged === 1);
  });

  it('gives one unit to one worker', async () => {
    const { publisher, worker, other } = await openQueue();
    await publisher.publish('now', unit(0, 0));
    const got = await Promise.all([worker.pull('now', 200), other.pull('now', 200)]);
    expect(got.filter((lease) => lease !== null)).toHaveLength(1);
  });

  it('offers a unit again when its lease runs out, and not before while it is extended', async () => {
    const { publisher, worker, other } = await openQueue(400);
    await publisher.publish('now', unit(0, 0));
    const lease = await worker.pull('now', soon);
    const extending = setInterval(() => lease?.extend(), 100);
    expect(await other.pull('now', 1_000)).toBeNull();
    clearInterval(extending);
    expect((await other.pull('now', 2_000))?.unit.id.index).toBe(0);
  });

  it('offers a unit that was given back to others at once', async () => {
    const { publisher, worker, other } = await openQueue();
    await publisher.publish('now', unit(0, 0));
    const lease = await worker.pull('now', soon);
    const waiting = other.pull('now', 5_000);
    const began = Date.now();
    lease?.giveBack();
    expect((await waiting)?.unit.id.index).toBe(0);
    expect(Date.now() - began).toBeLessThan(1_000);
  });

  it('never offers again what was acknowledged', async () => {
    const { publisher, worker, other } = await openQueue(300);
    await publisher.publish('now', unit(0, 0));
    (await worker.pull('now', soon))?.acknowledge();
    expect(await other.pull('now', 800)).toBeNull();
  });

  it('takes an offer once, and each attempt and lineage as another one', async () => {
    const { publisher, worker } = await openQueue();
    const [first, again] = [unit(0, 0), unit(0, 0, { attempt: 2 })];
    for (const offer of [first, first, again, again, unit(0, 0, { lineage: 2 }), unit(0, 0, { evaluation: true })])
      await publisher.publish('now', offer);
    const got: string[] = [];
    for (;;) {
      const lease = await worker.pull('now', 300);
      if (lease === null) break;
      const { attempt, lineage, evaluation } = lease.unit.id;
      got.push(`${attempt} ${lineage} ${evaluation}`);
    }
    expect(got).toEqual(['1 1 false', '2 1 false', '1 2 false', '1 1 true']);
  });

  it('withdraws what nobody holds', async () => {
    const { publisher, worker } = await openQueue();
    await publisher.publish('ahead', unit(1, 0));
    await publisher.purge();
    expect(await worker.pull('ahead', 100)).toBeNull();
    await publisher.publish('ahead', unit(2, 0));
    expect((await worker.pull('ahead', 1_000))?.unit.id.step).toBe(2);
  });

  it('drops what names no unit instead of giving it', async () => {
    const { publisher, worker, connection, run } = await openQueue();
    await connection.jetstream().publish(`showtell.${run}.g1.units.now.x`, seal(new Uint8Array()));
    await publisher.publish('now', unit(0, 1));
    expect(await worker.pull('now')).toBeNull();
    expect((await worker.pull('now', soon))?.unit.id.index).toBe(1);
  });

  it('refuses a unit of which a bit is wrong, asks for it thrice, as the way here may have done it, and drops it', async () => {
    const { publisher, worker, connection, run } = await openQueue();
    const damaged = seal(Unit.encode(unit(0, 0)).finish());
    damaged[5] = (damaged[5] ?? 0) ^ 1;
    await connection.jetstream().publish(`showtell.${run}.g1.units.now.x`, damaged);
    for (let delivery = 0; delivery < 3; delivery++)
      await expect(worker.pull('now', 1_000)).rejects.toMatchObject({ code: 'bus/damaged-message' });
    await publisher.publish('now', unit(0, 1));
    expect((await worker.pull('now', 1_000))?.unit.id.index).toBe(1);
    await eventually('nothing is left', async () => (await publisher.depth()).now.pending === 0);
  });
});

describe('UnitQueuePublisher', () => {
  it("removes the streams of the run's older generations, nobody else's", async () => {
    const { run, publisher, connection } = await openQueue();
    const elsewhere = await openQueue();
    await publisher.publish('now', unit(0, 0));
    const newer = await UnitQueuePublisher.open(connection, { run, generation: 12, leaseMs: 1_000 });
    // A coordinator that was overtaken while it opened.
    await UnitQueuePublisher.open(connection, { run, generation: 2, leaseMs: 1_000 });
    const names = (await connection.jetstreamManager()).streams.names();
    const there: string[] = [];
    for await (const name of names) there.push(name);
    expect(there).toEqual(expect.arrayContaining([newer.stream, elsewhere.publisher.stream]));
    expect(there).not.toContain(publisher.stream);
    expect(await new UnitQueue(connection, newer.stream).pull('now')).toBeNull();
  });

  it('says whether it had to make the stream, and mends one whose lanes are missing', async () => {
    const { publisher, worker, connection } = await openQueue();
    expect(await publisher.ensure()).toBe(false);
    const manager = await connection.jetstreamManager();
    await manager.consumers.delete(publisher.stream, 'now');
    expect(await publisher.ensure()).toBe(false);
    await publisher.publish('now', unit(0, 0));
    expect((await worker.pull('now', 1_000))?.unit.id.index).toBe(0);
    await publisher.remove();
    await publisher.remove();
    expect(await publisher.ensure()).toBe(true);
  });

  it('gives null while there is no stream', async () => {
    const queue = new UnitQueue(await connectTo(nats.url), unitStreamName('nobody', 1));
    expect([await queue.pull('now'), await queue.pull('now', 100)]).toEqual([null, null]);
  });
});

describe('a broker that is killed', () => {
  it('gives null meanwhile, has lost the queue, and takes it again', async () => {
    await using own = await startTestNats();
    const states: string[] = [];
    const connection = await connectTo(own.url, (state) => states.push(state.type));
    const publisher = await UnitQueuePublisher.open(connection, { run: 'r', generation: 1, leaseMs: 30_000 });
    const queue = new UnitQueue(await connectTo(own.url), publisher.stream);
    await publisher.publish('now', unit(0, 0));
    own.restart();
    await eventually('the connection is noticed to be gone', () => states.includes('disconnected'));
    expect(await queue.pull('now', 200)).toBeNull();
    await eventually('it is back', () => states.includes('reconnected'));
    await expect(publisher.publish('now', unit(0, 0))).rejects.toThrow();
    expect(await publisher.ensure()).toBe(true);
    // The same offer: a new stream does not remember that it has seen it.
    await publisher.publish('now', unit(0, 0));
    let lease = null;
    await eventually('the worker gets it', async () => (lease = await queue.pull('now', 100)) !== null);
    expect(lease).toMatchObject({ unit: unit(0, 0) });
  });

  it('fails at once what waits for its answer, longer before the client would give it up', async () => {
    await using own = await startTestNats();
    const connection = await connectTo(own.url);
    const publisher = await UnitQueuePublisher.open(connection, { run: 'r', generation: 1, leaseMs: 30_000 });
    const queue = new UnitQueue(await connectTo(own.url), publisher.stream);
    own.pause();
    let timer: NodeJS.Timeout | undefined;
    const clientGivesUp = new Promise((resolve) => (timer = setTimeout(resolve, 4_500, 'too late')));
    const offered = publisher.publish('now', unit(0, 0)).catch((error: unknown) => (error as NatsError).code);
    const pulled = queue.pull('now', 200);
    own.restart();
    const answers = await Promise.race([Promise.all([offered, pulled]), clientGivesUp]);
    clearTimeout(timer);
    expect(answers).toEqual([ErrorCode.Disconnect, null]);
    // Nothing that is asked while it is away is kept for later: the client would drop it.
    const meanwhile = await publisher.publish('now', unit(0, 0)).catch((error: unknown) => (error as NatsError).code);
    expect(['503', ErrorCode.Disconnect]).toContain(meanwhile);
  });

  it('is found again though the clock was set back by an hour while it was away', async () => {
    await using own = await startTestNats();
    const states: string[] = [];
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    onTestFinished(() => void vi.useRealTimers());
    await connectTo(own.url, (state) => states.push(state.type));
    own.restart();
    await eventually('the connection is noticed to be gone', () => states.includes('disconnected'));
    vi.useRealTimers();
    await eventually('it is back', () => states.includes('reconnected'));
  });

  it('is lost for good after the time the connection was given', async () => {
    const own = await startTestNats();
    const states: BusState[] = [];
    const connection = await connectBus({
      servers: [own.url],
      name: 'test',
      giveUpAfterMs: 500,
      onState: (state) => states.push(state),
    });
    await own[Symbol.asyncDispose]();
    await eventually('it is given up', () => states.some((state) => state.type === 'lost'));
    expect(connection.isClosed()).toBe(true);
  });

  it('is named when it is not there at all', async () => {
    await expect(connectBus({ servers: ['nats://127.0.0.1:9'], name: 'test' })).rejects.toMatchObject({
      code: 'bus/unreachable',
      facts: { servers: 'nats://127.0.0.1:9' },
    });
  });
});

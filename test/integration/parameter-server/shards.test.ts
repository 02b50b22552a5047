import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { optimizerTensors } from '@showtell/coordinator/checkpoints/optimizer-tensors.js';
import { freePort } from '@showtell/coordinator/local/free-port.js';
import type { ParameterServer } from '@showtell/coordinator/parameter-server/parameter-server.js';
import { RemoteShard } from '@showtell/coordinator/parameter-server/remote-shard.js';
import { Verdict, WireType } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { ShowtellError } from '@showtell/shared/errors.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import { CallIdentity } from '@showtell/shared/rpc/call-identity.js';
import { hashTensors } from '@showtell/shared/tensors/hash.js';
import { blocksOf, segmentNames } from '@showtell/shared/tensors/layout.js';
import { divideLayout, partOf } from '@showtell/shared/tensors/shards.js';
import { eventually } from '../../support/eventually.js';
import {
  type Cluster,
  job,
  jobSha256,
  layout,
  randomGradient,
  randomSegments,
  startCluster,
  unitGradient,
} from './fixture.js';
import { hashSegments } from './reference.js';
import { serverRun, type Way } from './two-steps.js';

async function stateHash(server: ParameterServer): Promise<string[]> {
  const pinned = server.pin();
  const { parameters, optimizer } = await pinned.read();
  pinned.release();
  return [hashSegments(layout, parameters), optimizer === null ? '' : hashTensors(optimizerTensors(layout, optimizer))];
}

function removeSlots(directory: string): void {
  for (const name of readdirSync(directory)) if (name.startsWith('slot-')) rmSync(join(directory, name));
}

/** A step by one worker. */
async function step(cluster: Cluster, worker: Awaited<ReturnType<Cluster['connect']>>): Promise<void> {
  const { version } = cluster.server;
  const at = version.id!.step;
  const done = cluster.server.step({ step: at, phase: 'joint', learningRate: 0.1 });
  for (const index of [0, 1, 2]) {
    const { verdict } = await worker.push(unitGradient(version, index, randomGradient(100 * at + index).dense));
    expect(verdict).toBe(Verdict.VERDICT_ACCEPTED);
  }
  await done;
}

describe('a layout in parts', () => {
  it.each([1, 2, 3, 4, 16])('%i: every block in one of them, at its place, of each segment its share', (shards) => {
    const parts = divideLayout(layout, shards);
    expect(parts.flatMap(({ blocks }) => blocks).sort((a, b) => a - b)).toEqual([...blocksOf(layout).keys()]);
    const all = randomSegments(3);
    const whole = blocksOf(layout);
    for (const part of parts) {
      const views = partOf(all, part);
      for (const [i, block] of blocksOf(part.layout).entries()) {
        const { entry, segment, offset, size } = whole[part.blocks[i]!]!;
        expect([block.entry.name, block.size]).toEqual([entry.name, size]);
        expect(views[segment].subarray(block.offset, block.offset + size)).toEqual(
          all[segment].subarray(offset, offset + size),
        );
      }
    }
    for (const segment of segmentNames)
      expect(parts.reduce((sum, part) => sum + part.layout.elements[segment], 0)).toBe(layout.elements[segment]);
    // No more than a block too many.
    for (const part of parts)
      expect(part.layout.elements.embedding).toBeLessThanOrEqual(layout.elements.embedding / shards + 65_536);
  });
});

describe('several shards give the bits of one', () => {
  it.each<[string, 'decoder-only' | 'joint', Record<string, unknown>, Way]>([
    ['shared memory, joint', 'joint', {}, {}],
    ['decoder alone', 'decoder-only', {}, {}],
    ['gRPC, rows of the embedding', 'joint', {}, { sharedMemory: false, order: [2, 0, 1] }],
    ['gRPC, the whole embedding', 'joint', {}, { sharedMemory: false, sparse: false }],
    ['clipped', 'joint', { optimizer: { clip: 1 } }, {}],
    ['bfloat16', 'joint', { wire: { dtype: 'bfloat16' } }, { sharedMemory: false }],
    ['momentum', 'joint', { optimizer: { name: 'momentum' } }, {}],
    ['Adam', 'joint', { optimizer: { name: 'adam' } }, {}],
    ['Adagrad', 'joint', { optimizer: { name: 'adagrad', initialAccumulator: 0.5 } }, {}],
  ])('%s', async (_, phase, overrides, way) => {
    const run = async (shards: number): Promise<unknown> => {
      await using cluster = await startCluster({ job: job(overrides), shards });
      return [await serverRun(cluster, phase, way), await stateHash(cluster.server)];
    };
    const one = await run(1);
    for (const shards of [2, 4]) expect(await run(shards)).toEqual(one);
  });

  it('without examples: no value changes, the version does', async () => {
    await using cluster = await startCluster({ job: job({ optimizer: { name: 'adam' } }), shards: 2 });
    const a = await cluster.connect('a');
    await step(cluster, a);
    const before = await stateHash(cluster.server);
    const done = cluster.server.step({ step: 1, phase: 'joint', learningRate: 0.1 });
    const { version } = cluster.server;
    const none = { examples: 0, tokens: 0, lossSum: 0, skipped: [0, 1, 2, 3] };
    for (const index of [0, 1, 2]) await a.push(unitGradient(version, index, randomGradient(index).dense, none));
    await done;
    expect(cluster.server.version.id?.step).toBe(2);
    expect(await stateHash(cluster.server)).toEqual(before);
  });
});

describe('a unit counts in all shards or in none', () => {
  const undisturbed = async (): Promise<string[]> => {
    await using cluster = await startCluster({ job: job() });
    await step(cluster, await cluster.connect('a'));
    return await stateHash(cluster.server);
  };

  it.each([0, 1])('one that is not finite in the part of shard %i', async (bad) => {
    await using cluster = await startCluster({ job: job(), shards: 2 });
    const a = await cluster.connect('a');
    const { version } = cluster.server;
    const done = cluster.server.step({ step: 0, phase: 'joint', learningRate: 0.1 });
    // The last unit completes the sum.
    for (const index of [0, 1, 2]) {
      const broken = randomGradient(index).dense;
      partOf(broken, divideLayout(layout, 2)[bad]!).encoder[2] = NaN;
      const refused = await a.push(unitGradient(version, index, broken));
      const detail = expect.stringContaining('not finite') as string;
      expect(refused).toMatchObject({ verdict: Verdict.VERDICT_INVALID, detail });
      const again = unitGradient(version, index, randomGradient(index).dense);
      expect((await a.push(again)).verdict).toBe(Verdict.VERDICT_ACCEPTED);
    }
    await done;
    expect(await stateHash(cluster.server)).toEqual(await undisturbed());
  });

  it('one with a loss that is not finite: the coordinator hears of it', async () => {
    const told: Verdict[] = [];
    await using cluster = await startCluster({ job: job(), shards: 2, onVerdict: (verdict) => told.push(verdict) });
    const a = await cluster.connect('a');
    const gradient = unitGradient(cluster.server.version, 0, randomGradient(0).dense, { lossSum: NaN });
    expect(await a.push(gradient)).toMatchObject({ verdict: Verdict.VERDICT_INVALID, detail: 'its loss is NaN' });
    expect(told).toEqual([Verdict.VERDICT_INVALID]);
  });

  it.each<[string, (server: ParameterServer) => void]>([
    ['was taken away by its worker', ({ shards }) => shards.forEach(({ sharedMemory }) => removeSlots(sharedMemory))],
    ['was forgotten with its worker', (server) => void server.forgetWorker('a')],
  ])('one of which what lay at the shards %s: it is sent again, and no shard is lost', async (_, go) => {
    const lost: ShowtellError[] = [];
    let server: ParameterServer | null = null;
    let isFirst = true;
    const onHeader = (): void => {
      if (isFirst && server !== null) go(server);
      isFirst = false;
    };
    await using cluster = await startCluster({ job: job(), shards: 2, onLost: (error) => lost.push(error), onHeader });
    ({ server } = cluster);
    await step(cluster, await cluster.connect('a'));
    expect([isFirst, lost]).toEqual([false, []]);
    expect(await stateHash(cluster.server)).toEqual(await undisturbed());
  });

  it('one that two workers left, in another order at each shard', async () => {
    await using cluster = await startCluster({ job: job(), shards: 2 });
    const workers = [await cluster.connect('a'), await cluster.connect('b')];
    const { version } = cluster.server;
    const done = cluster.server.step({ step: 0, phase: 'joint', learningRate: 0.1 });
    for (const index of [0, 1, 2]) {
      const answers = await Promise.all(
        workers.map((worker) => worker.push(unitGradient(version, index, randomGradient(index).dense))),
      );
      expect(answers.map(({ verdict }) => verdict).sort()).toEqual(
        index === 2
          ? expect.arrayContaining([Verdict.VERDICT_ACCEPTED])
          : [Verdict.VERDICT_ACCEPTED, Verdict.VERDICT_DUPLICATE],
      );
    }
    const { accepted } = await done;
    expect(accepted.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(await stateHash(cluster.server)).toEqual(await undisturbed());
  });

  it('one of which a shard has nothing is sent again', async () => {
    await using cluster = await startCluster({ job: job(), shards: 2 });
    const { version } = cluster.server;
    const header = {
      unit: unitGradient(version, 0, randomSegments(1)).unit,
      version: version.id,
      phase: version.phase,
    };
    const sizes = {
      examples: 4,
      tokens: 1,
      lossSum: 1,
      skipped: [],
      wireType: WireType.WIRE_TYPE_FLOAT32,
      embeddingRows: [],
      slot: '',
    };
    const segments = ['decoder', 'embedding', 'encoder', 'statistics'];
    const times = { computeSeconds: 0, dataSeconds: 0 };
    const claim = { ...header, ...sizes, ...times, worker: 'a', segments, atShards: true };
    await expect(cluster.server.push(claim, null)).rejects.toThrow('does not have its part');
    const { verdict, detail } = await cluster.server.push({ ...claim, atShards: false }, null);
    expect({ verdict, detail }).toEqual({
      verdict: Verdict.VERDICT_INVALID,
      detail: 'its values were not left at the shards',
    });
    await step(cluster, await cluster.connect('a'));
    expect(await stateHash(cluster.server)).toEqual(await undisturbed());
  });
});

describe('versions in shards', () => {
  it('a pinned one is read whole while others come, the optimizer’s state too', async () => {
    await using cluster = await startCluster({ job: job({ optimizer: { name: 'adam' } }), shards: 2 });
    const a = await cluster.connect('a');
    await step(cluster, a);
    const pinned = cluster.server.pin();
    const before = await stateHash(cluster.server);
    for (let i = 0; i < 4; i++) await step(cluster, a);
    const { parameters, optimizer } = await pinned.read();
    expect([hashSegments(layout, parameters), hashTensors(optimizerTensors(layout, optimizer!))]).toEqual(before);
    pinned.release();
    await step(cluster, a);
    await step(cluster, a);
    await expect(pinned.read()).rejects.toMatchObject({ code: 'parameters/shard-lost' });
  });

  it('go back to a checkpoint’s values, and on from there', async () => {
    const history = async (shards: number): Promise<string[][]> => {
      await using cluster = await startCluster({ job: job({ optimizer: { name: 'momentum' } }), shards });
      const a = await cluster.connect('a');
      await step(cluster, a);
      const pinned = cluster.server.pin();
      const values = await pinned.read();
      await step(cluster, a);
      await cluster.server.rewind({ step: 1, lineage: 1, phase: 'joint', ...values });
      pinned.release();
      const back = await stateHash(cluster.server);
      await step(cluster, a);
      return [back, await stateHash(cluster.server)];
    };
    expect(await history(2)).toEqual(await history(1));
  });
});

describe('a shard', () => {
  it('belongs to one run, and to its newest coordinator', async () => {
    await using first = await startCluster({ job: job(), shards: 2 });
    const address = first.hosts[0]!.address;
    const [part] = divideLayout(layout, 2);
    const given = { part: part!, job: job(), jobSha256, ring: {}, shard: 0, shards: 2 };
    const state = {
      step: 0,
      lineage: 0,
      phase: 'joint',
      parameters: partOf(randomSegments(1), part!),
      optimizer: null,
    } as const;
    const open = (run: string, generation: number, more: { jobSha256?: string; shard?: number } = {}) =>
      RemoteShard.open(address, { ...given, state, run, generation, ...more }, () => undefined);
    await expect(open('other', 1)).rejects.toMatchObject({
      code: 'parameters/shard-lost',
      message: expect.stringContaining('this shard belongs to run test') as string,
    });
    await expect(open('test', 2, { jobSha256: 'k' })).rejects.toThrow('run test is of job j, not of k');
    await expect(open('test', 2, { jobSha256: '' })).rejects.toThrow('the request names no job');
    await expect(open('test', 0)).rejects.toThrow('generation 0 was overtaken by 1');
    await expect(open('test', 1, { shard: 1 })).rejects.toThrow(
      /it is shard 1 of \d already, and cannot be shard 2 of 2/,
    );
  });

  it('that is not there is not waited for by who is to stop; else it is said what is waited for', async () => {
    const [part] = divideLayout(layout, 2);
    const state = { step: 0, lineage: 0, phase: 'joint', parameters: partOf(randomSegments(1), part!), optimizer: null } as const; // prettier-ignore
    const given = {
      part: part!,
      job: job(),
      jobSha256,
      ring: {},
      shard: 0,
      shards: 2,
      state,
      run: 'test',
      generation: 1,
    };
    const address = `127.0.0.1:${await freePort()}`;
    let isWanted = true;
    const opened = RemoteShard.open(
      address,
      given,
      () => undefined,
      () => isWanted,
    );
    await delay(300);
    isWanted = false;
    await expect(opened).rejects.toMatchObject({ code: 'parameters/shard-lost' });
    const said: string[] = [];
    const waiting = RemoteShard.open(
      address,
      given,
      () => undefined,
      () => said.length === 0,
      (text) => void said.push(text),
    );
    await expect(waiting).rejects.toMatchObject({ code: 'parameters/shard-lost' });
    expect(said).toEqual([expect.stringMatching(`^waiting for shard ${address}: .*ECONNREFUSED`)]);
  });

  it('that ends is missed at once, though nothing is asked of it; workers get no verdict from a new one', async () => {
    const lost: ShowtellError[] = [];
    const cluster = await startCluster({ job: job(), shards: 2, onLost: (error) => lost.push(error) });
    const { version } = cluster.server;
    const a = await cluster.connect('a', false);
    await cluster.hosts[1]![Symbol.asyncDispose]();
    await eventually('it is missed', () => lost.length > 0);
    expect(lost[0]).toMatchObject({
      code: 'parameters/shard-lost',
      message: expect.stringContaining('Shard 2 of 2') as string,
    });
    await expect(a.push(unitGradient(version, 0, randomGradient(0).dense))).rejects.toMatchObject({ code: 14 });
    expect(cluster.hosts[1]!.isOpen).toBe(false);
    await cluster[Symbol.asyncDispose]();
    await delay(0);
    expect(cluster.hosts[0]!.isOpen).toBe(false);
  });

  it('serves its part of versions and nothing that is the coordinator’s', async () => {
    await using cluster = await startCluster({ job: job(), shards: 2 });
    const refusalOf = async (token: string | null): Promise<status> => {
      const service = connectParameters(cluster.hosts[0]!.address, {
        identity: new CallIdentity({ run: 'test', jobSha256, token }),
      });
      onTestFinished(() => service.close());
      return new Promise((resolve) =>
        service.checkCanary({ worker: 'a', graph: 'g', sha256: '' }, (error) => resolve(error?.code ?? status.OK)),
      );
    };
    expect(await refusalOf('of a session')).toBe(status.UNIMPLEMENTED);
    expect(await refusalOf(null)).toBe(status.UNAUTHENTICATED);
  });
});

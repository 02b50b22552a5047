import { readdirSync } from 'node:fs';
import { Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { roundToBfloat16 } from '@showtell/shared/tensors/bfloat16.js';
import type { Segments } from '@showtell/shared/tensors/layout.js';
import { describe, expect, it } from 'vitest';
import {
  type Cluster,
  embeddingWidth,
  job,
  layout,
  randomGradient,
  randomSegments,
  specs,
  startCluster,
  unitGradient,
} from './fixture.js';
import { hashSegments, type ReferenceOptions, referenceStep } from './reference.js';

const decays: ReadonlySet<string> = new Set(specs.filter(({ l2 }) => l2).map(({ name }) => name));
const examples = [4, 3, 4];

type Phase = 'decoder-only' | 'joint';

/** Two steps by the reference; its hash after each. */
function referenceRun(phase: Phase, options: Partial<ReferenceOptions>): string[] {
  const parameters = randomSegments(1);
  const velocity = options.momentum == null ? null : randomSegments(0, 0);
  return [0, 1].map((step) => {
    const units = examples.map((count, index) => ({
      examples: count,
      gradient: randomGradient(100 * step + index).dense,
    }));
    referenceStep(layout, units, parameters, velocity, {
      phase,
      learningRate: 0.1,
      momentum: null,
      clip: 5,
      l2: 0.00004,
      decay: 0.9997,
      decays,
      ...options,
    });
    return hashSegments(layout, parameters);
  });
}

interface Way {
  readonly order?: readonly number[];
  readonly sharedMemory?: boolean;
  readonly sparse?: boolean;
}

/** The same two steps through the real server; its hash after each, as workers pull it. */
async function serverRun(cluster: Cluster, phase: Phase, way: Way = {}): Promise<string[]> {
  const { order = [0, 1, 2], sharedMemory = true, sparse = true } = way;
  const workers = [await cluster.connect('a', sharedMemory), await cluster.connect('b', sharedMemory)];
  const hashes: string[] = [];
  for (const step of [0, 1]) {
    const done = cluster.server.step({ step, phase, learningRate: 0.1 });
    const { version } = cluster.server;
    await Promise.all(
      order.map(async (index, i) => {
        const { dense, rows } = randomGradient(100 * step + index);
        const gradient = unitGradient(version, index, dense, { examples: examples[index]! });
        const others = Object.fromEntries(Object.entries(gradient.dense).filter(([name]) => name !== 'embedding'));
        const pushed = sparse ? { ...gradient, dense: others, embeddingRows: rows } : gradient;
        const answer = await workers[i % 2]!.push(pushed);
        expect(answer).toEqual({ verdict: Verdict.VERDICT_ACCEPTED, detail: '' });
      }),
    );
    await done;
    const [a, b] = await Promise.all(workers.map((worker) => worker.pull(cluster.server.version)));
    hashes.push(hashSegments(layout, a!.segments));
    expect(hashSegments(layout, b!.segments)).toBe(hashes[step]);
  }
  return hashes;
}

describe('two steps give the bits of the reference', () => {
  it.each<[string, Phase, Partial<ReferenceOptions>, Record<string, unknown>]>([
    ['SGD, decoder alone', 'decoder-only', {}, {}],
    ['SGD, joint with L2 and moving averages', 'joint', {}, {}],
    ['momentum, joint', 'joint', { momentum: 0.9 }, { optimizer: { name: 'momentum', momentum: 0.9 } }],
    ['no clipping', 'joint', { clip: 1e6 }, { optimizer: { clip: 1e6 } }],
  ])('%s', async (_, phase, options, overrides) => {
    await using cluster = await startCluster({
      job: job(overrides),
      state: { step: 0, lineage: 0, phase, parameters: randomSegments(1), optimizer: null },
    });
    expect(await serverRun(cluster, phase)).toEqual(referenceRun(phase, options));
  });
});

describe('what must not reach the bits', () => {
  const expected = referenceRun('joint', {});

  it.each([1, 2, 3])('%i threads', async (threads) => {
    await using cluster = await startCluster({ job: job(), threads });
    expect(await serverRun(cluster, 'joint')).toEqual(expected);
  });

  it.each([[[0, 1, 2]], [[2, 1, 0]], [[1, 2, 0]], [[2, 0, 1]]])('arrival in order %j', async (order) => {
    await using cluster = await startCluster({ job: job() });
    expect(await serverRun(cluster, 'joint', { order })).toEqual(expected);
  });

  it('gradients and parameters by gRPC instead of shared memory', async () => {
    await using cluster = await startCluster({ job: job(), sharedMemory: null });
    expect(cluster.server.sharedMemory).toBeNull();
    expect(await serverRun(cluster, 'joint', { sharedMemory: false })).toEqual(expected);
  });

  it('a dense embedding gradient instead of rows', async () => {
    await using cluster = await startCluster({ job: job() });
    expect(await serverRun(cluster, 'joint', { sparse: false })).toEqual(expected);
  });
});

describe('rows in few blocks, or none, are the dense gradient', () => {
  const ranges = [
    [0, 900],
    [3_900, 4_001],
    [0, 0],
  ] as const;
  /** Unit `index`'s gradient, its rows within the range alone. */
  function confined(index: number): ReturnType<typeof randomGradient> {
    const { dense, rows } = randomGradient(300 + index);
    const [from, to] = ranges[index]!;
    const kept = rows.numbers.flatMap((row, i) => (row >= from && row < to ? [i] : []));
    dense.embedding.fill(0, 0, from * embeddingWidth).fill(0, to * embeddingWidth);
    const values = kept.flatMap((i) => [...rows.values.subarray(i * embeddingWidth, (i + 1) * embeddingWidth)]);
    return { dense, rows: { numbers: kept.map((i) => rows.numbers[i]!), values: Float32Array.from(values) } };
  }

  it.each([null, 0.9])('momentum %s', async (momentum) => {
    const optimizer = momentum === null ? { name: 'sgd' } : { name: 'momentum', momentum };
    await using cluster = await startCluster({ job: job({ optimizer }) });
    const parameters = randomSegments(1);
    const velocity = momentum === null ? null : randomSegments(0, 0);
    const a = await cluster.connect('a');
    for (const step of [0, 1]) {
      // In the second step no unit touches any row: with momentum the rows move on.
      const units = [0, 1, 2].map((index) => confined(step === 0 ? index : 2));
      const done = cluster.server.step({ step, phase: 'joint', learningRate: 0.1 });
      const { version } = cluster.server;
      for (const [index, { dense, rows }] of units.entries()) {
        const { decoder, encoder, statistics } = dense;
        const sent = { dense: { decoder, encoder, statistics }, embeddingRows: rows };
        await a.push(unitGradient(version, index, dense, sent));
      }
      await done;
      const gradients = units.map(({ dense }) => ({ examples: 4, gradient: dense }));
      const rules = {
        clip: 5,
        l2: 0.00004,
        decay: 0.9997,
        decays,
        momentum,
        learningRate: 0.1,
        phase: 'joint' as const,
      };
      referenceStep(layout, gradients, parameters, velocity, rules);
      const pulled = await a.pull(cluster.server.version);
      expect(hashSegments(layout, pulled.segments)).toBe(hashSegments(layout, parameters));
    }
  });
});

it('bfloat16 on the wire gives one result by shared memory and by gRPC, from float32 masters', async () => {
  const wire = job({ wire: { dtype: 'bfloat16' } });
  await using shared = await startCluster({ job: wire });
  await using remote = await startCluster({ job: wire, sharedMemory: null });
  const hashes = await serverRun(shared, 'joint');
  expect(await serverRun(remote, 'joint', { sharedMemory: false })).toEqual(hashes);
  const masters = [shared, remote].map(({ server }) => {
    const pinned = server.pin();
    const hash = hashSegments(layout, pinned.parameters);
    const { decoder, embedding, encoder, statistics } = pinned.parameters;
    const rounded: Segments = {
      decoder: roundToBfloat16(decoder),
      embedding: roundToBfloat16(embedding),
      encoder: roundToBfloat16(encoder),
      statistics,
    };
    expect(hashSegments(layout, rounded)).toBe(hashes[1]);
    pinned.release();
    return hash;
  });
  expect(masters[0]).toBe(masters[1]);
  expect(masters[0]).not.toBe(hashes[1]);
});

it('leaves nothing in shared memory', async () => {
  const cluster = await startCluster({ job: job() });
  const { directory } = cluster.server.sharedMemory!;
  await serverRun(cluster, 'joint');
  expect(readdirSync(directory).some((name) => name.startsWith('slot-'))).toBe(true);
  await cluster[Symbol.asyncDispose]();
  expect(() => readdirSync(directory)).toThrow('ENOENT');
});

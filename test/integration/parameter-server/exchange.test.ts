import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointStore } from '@showtell/coordinator/checkpoints/checkpoint-store.js';
import { optimizerTensors } from '@showtell/coordinator/checkpoints/optimizer-tensors.js';
import { Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { roundToBfloat16 } from '@showtell/shared/tensors/bfloat16.js';
import { hashTensors } from '@showtell/shared/tensors/hash.js';
import { layOut, type Segments } from '@showtell/shared/tensors/layout.js';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.js';
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
import {
  hashSegments,
  type ReferenceOptimizer,
  type ReferenceOptions,
  type ReferenceState,
  referenceStep,
} from './reference.js';

const decays: ReadonlySet<string> = new Set(specs.filter(({ l2 }) => l2).map(({ name }) => name));
const examples = [4, 3, 4];

type Phase = 'decoder-only' | 'joint';

/** What an optimizer keeps before its first update. */
function unused(optimizer: ReferenceOptimizer): ReferenceState {
  const [a, b] = [randomSegments(0, 0), randomSegments(0, 0)];
  if (optimizer.name === 'rmsprop') for (const segment of Object.values(a)) segment.fill(1);
  return { slots: [a, b], updates: 0 };
}

const rmsprop = { name: 'rmsprop', decay: 0.9, momentum: 0.8, epsilon: 0.01 } as const;
const adam = { name: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

/** Two steps by the reference; its hash after each. */
function referenceRun(phase: Phase, options: Partial<ReferenceOptions>): string[] {
  const parameters = randomSegments(1);
  const state = unused(options.optimizer ?? { name: 'sgd' });
  return [0, 1].map((step) => {
    const units = examples.map((count, index) => ({
      examples: count,
      gradient: randomGradient(100 * step + index).dense,
    }));
    referenceStep(layout, units, parameters, state, {
      phase,
      learningRate: 0.1,
      optimizer: { name: 'sgd' },
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
    [
      'momentum, joint',
      'joint',
      { optimizer: { name: 'momentum', momentum: 0.9 } },
      { optimizer: { name: 'momentum', momentum: 0.9 } },
    ],
    ['RMSProp, joint', 'joint', { optimizer: rmsprop }, { optimizer: rmsprop }],
    ['Adam, joint', 'joint', { optimizer: adam }, { optimizer: adam }],
    ['Adam, decoder alone', 'decoder-only', { optimizer: adam }, { optimizer: adam }],
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

  it.each([rmsprop, adam])('1 or 3 threads, with $name', async (optimizer) => {
    const hashes = referenceRun('joint', { optimizer });
    for (const threads of [1, 3]) {
      await using cluster = await startCluster({ job: job({ optimizer }), threads });
      expect(await serverRun(cluster, 'joint')).toEqual(hashes);
    }
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

  const optimizers: readonly ReferenceOptimizer[] = [
    { name: 'sgd' },
    { name: 'momentum', momentum: 0.9 },
    rmsprop,
    adam,
  ];

  it.each(optimizers)('$name', async (optimizer) => {
    await using cluster = await startCluster({ job: job({ optimizer }) });
    const parameters = randomSegments(1);
    const state = unused(optimizer);
    const a = await cluster.connect('a');
    for (const step of [0, 1]) {
      // In the second step no unit touches any row: what is kept moves the rows on, and fades.
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
        optimizer,
        learningRate: 0.1,
        phase: 'joint' as const,
      };
      referenceStep(layout, gradients, parameters, state, rules);
      const pulled = await a.pull(cluster.server.version);
      expect(hashSegments(layout, pulled.segments)).toBe(hashSegments(layout, parameters));
      const pinned = cluster.server.pin();
      const trained = layOut(specs.filter(({ group }) => group !== 'statistics'));
      for (const [i, slot] of (pinned.optimizer?.slots ?? []).entries())
        expect(hashSegments(trained, slot)).toBe(hashSegments(trained, state.slots[i]!));
      pinned.release();
    }
  });
});

describe('what an optimizer keeps', () => {
  /** Steps `from` up to `to` by one worker of a server. */
  async function steps(cluster: Cluster, from: number, to: number): Promise<void> {
    const a = await cluster.connect('a');
    for (let step = from; step < to; step++) {
      const done = cluster.server.step({ step, phase: 'joint', learningRate: 0.1 });
      const { version } = cluster.server;
      for (const index of [0, 1, 2])
        await a.push(unitGradient(version, index, randomGradient(100 * step + index).dense));
      await done;
    }
  }

  const hashes = ({ server }: Cluster): string[] => {
    const { parameters, optimizer, release } = server.pin();
    const kept = hashTensors(optimizerTensors(layout, optimizer!));
    release();
    return [hashSegments(layout, parameters), kept];
  };

  it.each([rmsprop, adam])('is all that $name goes on from, through a checkpoint', async (optimizer) => {
    await using whole = await startCluster({ job: job({ optimizer }) });
    await steps(whole, 0, 4);
    await using first = await startCluster({ job: job({ optimizer }) });
    await steps(first, 0, 2);
    await using store = CheckpointStore.open(join(temporaryFolder(), 'checkpoints'));
    const pinned = first.server.pin();
    const zeros = '0'.repeat(64);
    const about = {
      run: 'test',
      step: 2,
      phase: 'joint' as const,
      switchedAt: 0,
      phaseHistory: [],
      lineage: 0,
      generation: 1,
      examples: 24,
      job: job({ optimizer }),
      jobSha256: zeros,
      datasetDigest: zeros,
      vocabularySha256: zeros,
      canaries: {},
      metrics: {},
    };
    await store.save({ about, layout, parameters: pinned.parameters, optimizer: pinned.optimizer });
    pinned.release();
    const { parameters, optimizer: kept } = await store.read(2, layout);
    const state = { step: 2, lineage: 0, phase: 'joint', parameters, optimizer: kept } as const;
    await using second = await startCluster({ job: job({ optimizer }), state });
    await steps(second, 2, 4);
    expect(hashes(second)).toEqual(hashes(whole));
    // Without it the parameters would be others.
    await using forgetful = await startCluster({ job: job({ optimizer }), state: { ...state, optimizer: null } });
    await steps(forgetful, 2, 4);
    expect(hashes(forgetful)[0]).not.toBe(hashes(whole)[0]);
  });

  it('by another optimizer is not used', async () => {
    const momentum = { name: 'momentum', slots: [randomSegments(9)], powers: null } as const;
    const state = { step: 0, lineage: 0, phase: 'joint', parameters: randomSegments(1) } as const;
    await using forked = await startCluster({
      job: job({ optimizer: adam }),
      state: { ...state, optimizer: momentum },
    });
    await using fresh = await startCluster({ job: job({ optimizer: adam }), state: { ...state, optimizer: null } });
    for (const cluster of [forked, fresh]) await steps(cluster, 0, 1);
    expect(hashes(forked)).toEqual(hashes(fresh));
  });

  it("and Adam's powers stand still in a step without examples", async () => {
    await using cluster = await startCluster({ job: job({ optimizer: adam }) });
    await steps(cluster, 0, 1);
    const before = hashes(cluster);
    const a = await cluster.connect('b');
    const done = cluster.server.step({ step: 1, phase: 'joint', learningRate: 0.1 });
    const { version } = cluster.server;
    const none = { examples: 0, tokens: 0, lossSum: 0, skipped: [0, 1, 2, 3] };
    for (const index of [0, 1, 2]) await a.push(unitGradient(version, index, randomGradient(index).dense, none));
    await done;
    expect(hashes(cluster)).toEqual(before);
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

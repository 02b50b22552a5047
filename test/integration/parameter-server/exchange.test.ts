import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointStore } from '@showtell/coordinator/checkpoints/checkpoint-store.js';
import { optimizerTensors } from '@showtell/coordinator/checkpoints/optimizer-tensors.js';
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
import { examples, type Phase, serverRun } from './two-steps.js';

const decays: ReadonlySet<string> = new Set(specs.filter(({ l2 }) => l2).map(({ name }) => name));

/** What an optimizer keeps before its first update. */
function unused(optimizer: ReferenceOptimizer): ReferenceState {
  const [a, b] = [randomSegments(0, 0), randomSegments(0, 0)];
  const first = optimizer.name === 'adagrad' ? optimizer.initialAccumulator : optimizer.name === 'rmsprop' ? 1 : 0;
  for (const segment of Object.values(a)) segment.fill(first);
  return { slots: [a, b], updates: 0 };
}

const rmsprop = { name: 'rmsprop', decay: 0.9, momentum: 0.8, epsilon: 0.01 } as const;
const adam = { name: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;
const adagrad = { name: 'adagrad', initialAccumulator: 0.2 } as const;

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
    ['Adagrad, joint', 'joint', { optimizer: adagrad }, { optimizer: adagrad }],
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

  it.each([rmsprop, adam, adagrad])('1 or 3 threads, with $name', async (optimizer) => {
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
    adagrad,
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
      const { optimizer: kept } = await pinned.read();
      for (const [i, slot] of (kept?.slots ?? []).entries())
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

  const hashes = async ({ server }: Cluster): Promise<string[]> => {
    const pinned = server.pin();
    const { parameters, optimizer } = await pinned.read();
    const kept = hashTensors(optimizerTensors(layout, optimizer!));
    pinned.release();
    return [hashSegments(layout, parameters), kept];
  };

  it.each([rmsprop, adam, adagrad])('is all that $name goes on from, through a checkpoint', async (optimizer) => {
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
    await store.save({ about, layout, ...(await pinned.read()) });
    pinned.release();
    const { parameters, optimizer: kept } = await store.read(2, layout);
    const state = { step: 2, lineage: 0, phase: 'joint', parameters, optimizer: kept } as const;
    await using second = await startCluster({ job: job({ optimizer }), state });
    await steps(second, 2, 4);
    expect(await hashes(second)).toEqual(await hashes(whole));
    // Without it the parameters would be others.
    await using forgetful = await startCluster({ job: job({ optimizer }), state: { ...state, optimizer: null } });
    await steps(forgetful, 2, 4);
    expect((await hashes(forgetful))[0]).not.toBe((await hashes(whole))[0]);
  });

  it.each([adam, adagrad])('by another optimizer is not used by $name', async (optimizer) => {
    const momentum = { name: 'momentum', slots: [randomSegments(9)], powers: null } as const;
    const state = { step: 0, lineage: 0, phase: 'joint', parameters: randomSegments(1) } as const;
    await using forked = await startCluster({ job: job({ optimizer }), state: { ...state, optimizer: momentum } });
    await using fresh = await startCluster({ job: job({ optimizer }), state: { ...state, optimizer: null } });
    for (const cluster of [forked, fresh]) await steps(cluster, 0, 1);
    expect(await hashes(forked)).toEqual(await hashes(fresh));
  });

  it("and Adam's powers stand still in a step without examples", async () => {
    await using cluster = await startCluster({ job: job({ optimizer: adam }) });
    await steps(cluster, 0, 1);
    const before = await hashes(cluster);
    const a = await cluster.connect('b');
    const done = cluster.server.step({ step: 1, phase: 'joint', learningRate: 0.1 });
    const { version } = cluster.server;
    const none = { examples: 0, tokens: 0, lossSum: 0, skipped: [0, 1, 2, 3] };
    for (const index of [0, 1, 2]) await a.push(unitGradient(version, index, randomGradient(index).dense, none));
    await done;
    expect(await hashes(cluster)).toEqual(before);
  });
});

it('bfloat16 on the wire gives one result by shared memory and by gRPC, from float32 masters', async () => {
  const wire = job({ wire: { dtype: 'bfloat16' } });
  await using shared = await startCluster({ job: wire });
  await using remote = await startCluster({ job: wire, sharedMemory: null });
  const hashes = await serverRun(shared, 'joint');
  expect(await serverRun(remote, 'joint', { sharedMemory: false })).toEqual(hashes);
  const masters: string[] = [];
  for (const { server } of [shared, remote]) {
    const pinned = server.pin();
    const { parameters } = await pinned.read();
    masters.push(hashSegments(layout, parameters));
    const { decoder, embedding, encoder, statistics } = parameters;
    const rounded: Segments = {
      decoder: roundToBfloat16(decoder),
      embedding: roundToBfloat16(embedding),
      encoder: roundToBfloat16(encoder),
      statistics,
    };
    expect(hashSegments(layout, rounded)).toBe(hashes[1]);
    pinned.release();
  }
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

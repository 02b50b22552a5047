import { Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitGradient } from '@showtell/worker/parameters/client.js';
import { describe, expect, it } from 'vitest';
import { job, layout, randomGradient, randomSegments, startCluster, unitGradient } from './fixture.js';
import { hashSegments } from './reference.js';

const asynchronous = { maxStaleness: 4 };
const given = job({ batch: { examples: 4, units: 1 }, asynchronous });
type Cluster = Awaited<ReturnType<typeof startCluster>>;

/** Every unit up to a hundred has been offered. */
async function start(options: Partial<Parameters<typeof startCluster>[0]> = {}): Promise<Cluster> {
  const cluster = await startCluster({ job: given, ...options });
  cluster.server.openUnits(100);
  return cluster;
}

/** The gradient of unit `step`, computed with a version. */
function unit(
  version: Parameters<typeof unitGradient>[0],
  step: number,
  more: Partial<UnitGradient['unit']> = {},
): UnitGradient {
  const gradient = unitGradient(version, 0, randomGradient(step).dense);
  return { ...gradient, unit: { ...gradient.unit, step, ...more } };
}

const next = ({ server }: Cluster) =>
  server.step({ step: server.version.id?.step ?? 0, phase: 'joint', learningRate: 0.1 });

describe.each([
  ['shared memory', true, 1],
  ['gRPC', false, 1],
  ['two shards', true, 2],
])('each unit is an update of its own, by %s', (_, shared, shards) => {
  it('is applied as it comes, out of order and on an older version; the same again is told that it counts', async () => {
    await using cluster = await start({ shards });
    const first = cluster.server.version;
    const [a, b] = [await cluster.connect('a', shared), await cluster.connect('b', shared)];
    // The second waits for the first one's update, of which it knows nothing.
    const answers = [a.push(unit(first, 1)), b.push(unit(first, 0))];
    const results = [await next(cluster), await next(cluster)];
    for (const answer of await Promise.all(answers)) expect(answer.verdict).toBe(Verdict.VERDICT_ACCEPTED);
    const order = results.map(({ accepted: [counted] }) => [counted?.step, counted?.staleness]);
    expect(order.map(([step]) => step).sort()).toEqual([0, 1]);
    expect(order.map(([, staleness]) => staleness)).toEqual([0, 1]);
    expect(results.map(({ missing }) => missing)).toEqual([order[0]?.[0] === 1 ? [0] : [], []]);
    expect((await a.push(unit(first, 1))).verdict).toBe(Verdict.VERDICT_ACCEPTED);
    expect(await b.push(unit(first, 1))).toMatchObject({ verdict: Verdict.VERDICT_DUPLICATE });
    expect(cluster.server.version.id?.step).toBe(2);
  });

  it('is refused where its version is too old, and the values stay', async () => {
    await using cluster = await start({ shards });
    const first = cluster.server.version;
    const a = await cluster.connect('a', shared);
    for (let step = 0; step < 5; step++) {
      const taken = next(cluster);
      expect((await a.push(unit(cluster.server.version, step))).verdict).toBe(Verdict.VERDICT_ACCEPTED);
      await taken;
    }
    const before = hashSegments(layout, (await a.pull(cluster.server.version)).segments);
    const late = await a.push(unit(first, 5));
    expect(late.verdict).toBe(Verdict.VERDICT_STALE);
    expect(late.detail).toContain('it was computed 5 updates ago, of which 4 are allowed');
    const early = { ...cluster.server.version, id: { generation: 1, lineage: 0, step: 9 } };
    expect((await a.push(unit(early, 5))).verdict).toBe(Verdict.VERDICT_STALE);
    expect((await a.push(unit(first, 5, { lineage: 1 }))).verdict).toBe(Verdict.VERDICT_STALE);
    expect(hashSegments(layout, (await a.pull(cluster.server.version)).segments)).toBe(before);
  });
});

it('goes on from a checkpoint that lacks units, and goes back to one', async () => {
  const state = { step: 3, lineage: 0, phase: 'joint', parameters: randomSegments(1), optimizer: null } as const;
  await using cluster = await start({ state: { ...state, missing: [1] } });
  const a = await cluster.connect('a');
  expect((await a.push(unit(cluster.server.version, 3))).verdict).toBe(Verdict.VERDICT_DUPLICATE);
  const taken = next(cluster);
  expect((await a.push(unit(cluster.server.version, 1))).verdict).toBe(Verdict.VERDICT_ACCEPTED);
  expect((await taken).missing).toEqual([]);

  await cluster.server.rewind({ ...state, step: 2, lineage: 1, missing: [0] });
  // Nothing has been offered since then.
  expect((await a.push(unit(cluster.server.version, 3))).verdict).toBe(Verdict.VERDICT_INVALID);
  cluster.server.openUnits(4);
  const again = next(cluster);
  expect((await a.push(unit(cluster.server.version, 2))).verdict).toBe(Verdict.VERDICT_DUPLICATE);
  expect((await a.push(unit(cluster.server.version, 3))).verdict).toBe(Verdict.VERDICT_ACCEPTED);
  expect((await again).missing).toEqual([0]);
});

it('takes no unit that has not been offered, however far ahead: what is missing before it would be without end', async () => {
  await using cluster = await start();
  cluster.server.openUnits(3);
  const a = await cluster.connect('a');
  for (const step of [3, 1_000_000_000]) {
    const gradient = { ...unit(cluster.server.version, step), examples: 0, dense: {} };
    const { verdict, detail } = await a.push(gradient);
    expect([verdict, detail]).toEqual([Verdict.VERDICT_INVALID, `unit ${step} has not been offered`]);
  }
  const taken = next(cluster);
  expect((await a.push(unit(cluster.server.version, 2))).verdict).toBe(Verdict.VERDICT_ACCEPTED);
  expect((await taken).missing).toEqual([0, 1]);
});

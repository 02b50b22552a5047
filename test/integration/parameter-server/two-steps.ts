import { Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { expect } from 'vitest';
import { type Cluster, layout, randomGradient, unitGradient } from './fixture.js';
import { hashSegments } from './reference.js';

/** Of each unit. */
export const examples = [4, 3, 4];

export type Phase = 'decoder-only' | 'joint';

export interface Way {
  readonly order?: readonly number[];
  readonly sharedMemory?: boolean;
  readonly sparse?: boolean;
}

/** Two steps through the real server; its hash after each, as workers pull it. */
export async function serverRun(cluster: Cluster, phase: Phase, way: Way = {}): Promise<string[]> {
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
        const ownWay = sharedMemory ? 'shared-memory' : 'grpc';
        expect(answer).toMatchObject({ verdict: Verdict.VERDICT_ACCEPTED, detail: '', way: ownWay });
        expect(answer.bytes).toBeGreaterThan(layout.elements.decoder);
      }),
    );
    await done;
    const [a, b] = await Promise.all(workers.map((worker) => worker.pull(cluster.server.version)));
    hashes.push(hashSegments(layout, a!.segments));
    expect(hashSegments(layout, b!.segments)).toBe(hashes[step]);
    const [used, unused] = sharedMemory ? (['shared-memory', 'grpc'] as const) : (['grpc', 'shared-memory'] as const);
    expect(a!.bytes[used]).toBeGreaterThan(layout.elements.decoder);
    expect(a!.bytes[unused]).toBe(0);
  }
  return hashes;
}

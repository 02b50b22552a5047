import { readFileSync } from 'node:fs';
import { ParameterServer } from '@showtell/coordinator/parameter-server/parameter-server.js';
import { Phase, Verdict, WireType } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { jobSchema } from '@showtell/shared/job/job.js';
import {
  allocateSegments,
  layOut,
  type SegmentName,
  type Segments,
  tensorView,
} from '@showtell/shared/tensors/layout.js';
import { describe, expect, it } from 'vitest';

interface Case {
  readonly optimizer: 'sgd' | 'momentum';
  readonly clip: number;
  readonly first: Record<string, number[]>;
  readonly gradients: Record<string, number[]>[];
  readonly norms: number[];
  readonly last: Record<string, number[]>;
}
const { rate, momentum, l2, decay, cases } = JSON.parse(
  readFileSync(new URL('optimizer.json', import.meta.url), 'utf8'),
) as { rate: number; momentum: number; l2: number; decay: number; cases: Case[] };

const specs = [
  { name: 'conv/weights', shape: [3, 5], group: 'encoder', l2: true },
  { name: 'lstm/kernel', shape: [4, 6], group: 'decoder', l2: false },
  { name: 'moving_mean', shape: [3], group: 'statistics', l2: false },
] as const;
const layout = layOut(specs);
const sent: readonly SegmentName[] = ['decoder', 'encoder', 'statistics'];

function segmentsOf(tensors: Record<string, number[]>): Segments {
  const segments = allocateSegments(layout);
  for (const entry of layout.entries) tensorView(segments, entry).set(tensors[entry.name]!);
  return segments;
}

/** One body as it travels: the segments one after the other, each aligned to 64 bytes as they are in memory. */
async function* chunks(segments: Segments) {
  for (const segment of sent) yield { segment, element: 0, body: Buffer.from(segments[segment].slice().buffer) };
}

describe("the parameter server's updates are TensorFlow's", () => {
  it.each(cases)('$optimizer, clipped to $clip', async (given) => {
    const job = jobSchema.parse({
      batch: { examples: 1, units: 1 },
      optimizer: { name: given.optimizer, momentum, clip: given.clip },
      phases: { joint: { l2 } },
      model: { encoder: { batchNormDecay: decay } },
    });
    await using server = await ParameterServer.open({
      layout,
      specs,
      job,
      state: { step: 0, lineage: 0, phase: 'joint', parameters: segmentsOf(given.first), optimizer: null },
      run: 'parity',
      generation: 1,
      threads: 1,
      sharedMemory: null,
    });
    for (const [step, gradient] of given.gradients.entries()) {
      const id = { generation: 1, lineage: 0, step };
      const done = server.step({ step, phase: 'joint', learningRate: rate });
      const header = {
        unit: { run: 'parity', ...id, index: 0, attempt: 1, evaluation: false },
        version: id,
        phase: Phase.PHASE_JOINT,
        worker: 'w',
        examples: 1,
        tokens: 1,
        lossSum: 1,
        skipped: [],
        wireType: WireType.WIRE_TYPE_FLOAT32,
        segments: [...sent],
        embeddingRows: [],
        slot: '',
        computeSeconds: 0,
      };
      const { verdict } = await server.push(header, chunks(segmentsOf(gradient)));
      expect(verdict).toBe(Verdict.VERDICT_ACCEPTED);
      const { gradientNorm, clipScale } = await done;
      expect(Math.abs(gradientNorm / given.norms[step]! - 1)).toBeLessThan(1e-6);
      expect(clipScale === 1).toBe(given.clip > given.norms[step]!);
    }
    const pinned = server.pin();
    for (const entry of layout.entries)
      tensorView(pinned.parameters, entry).forEach((value, i) => {
        const expected = given.last[entry.name]![i]!;
        // TensorFlow multiplies by the clip's factor in another order: the last bits differ.
        expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(expected)));
      });
    pinned.release();
  });
});

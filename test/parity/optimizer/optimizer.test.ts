import { readFileSync } from 'node:fs';
import { optimizerTensors } from '@showtell/coordinator/checkpoints/optimizer-tensors.js';
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
  /** The job's field. */
  readonly optimizer: Readonly<Record<string, unknown>> & { readonly name: string; readonly clip: number };
  readonly norms: number[];
  readonly last: Record<string, number[]>;
  /** Under TensorFlow's names. */
  readonly slots: Record<string, number[]>;
}
const { rate, l2, decay, first, gradients, cases } = JSON.parse(
  readFileSync(new URL('optimizer.json', import.meta.url), 'utf8'),
) as {
  rate: number;
  l2: number;
  decay: number;
  first: Record<string, number[]>;
  gradients: Record<string, number[]>[];
  cases: Case[];
};

const specs = [
  { name: 'conv/weights', shape: [3, 5], group: 'encoder', l2: true },
  { name: 'lstm/kernel', shape: [4, 6], group: 'decoder', l2: false },
  { name: 'seq_embedding/map', shape: [6, 3], group: 'embedding', l2: false },
  { name: 'moving_mean', shape: [3], group: 'statistics', l2: false },
] as const;
const layout = layOut(specs);
const sent: readonly SegmentName[] = ['decoder', 'encoder', 'statistics'];

function segmentsOf(tensors: Record<string, number[]>): Segments {
  const segments = allocateSegments(layout);
  for (const entry of layout.entries) tensorView(segments, entry).set(tensors[entry.name]!);
  return segments;
}

/** Rows of the embedding that a step touches; the others of its gradient are zero. */
function touchedRows({ embedding }: Segments): number[] {
  return [0, 1, 2, 3, 4, 5].filter((row) => embedding.subarray(3 * row, 3 * row + 3).some((value) => value !== 0));
}

/** One body as it travels: the segments one after the other, then the rows, each aligned to 64 bytes. */
async function* chunks(segments: Segments) {
  for (const segment of sent) yield { segment, element: 0, body: Buffer.from(segments[segment].slice().buffer) };
  const rows = touchedRows(segments).flatMap((row) => [...segments.embedding.subarray(3 * row, 3 * row + 3)]);
  if (rows.length > 0) yield { segment: 'embedding', element: 0, body: Buffer.from(Float32Array.from(rows).buffer) };
}

/** TensorFlow multiplies by the clip's factor in another order: the last bits differ. */
function expectNear(values: ArrayLike<number>, expected: readonly number[], what: string): void {
  expected.forEach((value, i) => {
    expect(Math.abs((values[i] ?? NaN) - value), what).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(value)));
  });
}

describe("the parameter server's updates are TensorFlow's", () => {
  it.each(cases.map((given) => [JSON.stringify(given.optimizer), given] as const))('%s', async (_, given) => {
    const job = jobSchema.parse({
      batch: { examples: 1, units: 1 },
      optimizer: given.optimizer,
      phases: { joint: { l2 } },
      model: { encoder: { batchNormDecay: decay } },
    });
    await using server = await ParameterServer.open({
      layout,
      specs,
      job,
      state: { step: 0, lineage: 0, phase: 'joint', parameters: segmentsOf(first), optimizer: null },
      run: 'parity',
      generation: 1,
      threads: 1,
      sharedMemory: null,
    });
    for (const [step, gradient] of gradients.entries()) {
      const id = { generation: 1, lineage: 0, step };
      const done = server.step({ step, phase: 'joint', learningRate: rate });
      const segments = segmentsOf(gradient);
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
        embeddingRows: touchedRows(segments),
        slot: '',
        atShards: false,
        computeSeconds: 0,
        dataSeconds: 0,
      };
      const { verdict, detail } = await server.push(header, chunks(segments));
      expect({ verdict, detail }).toEqual({ verdict: Verdict.VERDICT_ACCEPTED, detail: '' });
      const { gradientNorm, clipScale } = await done;
      expect(Math.abs(gradientNorm / given.norms[step]! - 1)).toBeLessThan(1e-6);
      expect(clipScale === 1).toBe(given.optimizer.clip > given.norms[step]!);
    }
    const pinned = server.pin();
    const { parameters, optimizer } = await pinned.read();
    for (const entry of layout.entries) expectNear(tensorView(parameters, entry), given.last[entry.name]!, entry.name);
    const kept = optimizer === null ? [] : optimizerTensors(layout, optimizer);
    expect(kept.map(({ name }) => name).sort()).toEqual(Object.keys(given.slots).sort());
    for (const { name, values } of kept) expectNear(values, given.slots[name]!, name);
    pinned.release();
  });
});

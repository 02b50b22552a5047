import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decoderNames } from '@showtell/shared/model/decoder.js';
import { tensorView } from '@showtell/shared/tensors/layout.js';
import type { Engine, GradientBuffers } from '@showtell/worker/engine/engine.js';
import { tensorflowEngine } from '@showtell/worker/engine/tensorflow/engine.js';
import { fusedOps } from '@showtell/worker/engine/tensorflow/fused-ops.js';
import { canBfloat16, instructionSets } from '@showtell/worker/engine/tensorflow/instruction-sets.js';
import { plainOps } from '@showtell/worker/model/ops.js';
import { difference, eagerStep } from '../support/eager-step.js';
import { haveTensorflow, tensorflow } from '../support/tensorflow.js';
import {
  B,
  F,
  small,
  smallBatch,
  smallGradients,
  smallLayout,
  smallModel,
  smallOptions,
  smallParameters,
  smallSpecs,
  T,
} from '../support/small-model.js';

const parameters = smallParameters();
const first = { decoder: 0, embedding: 0, encoder: 0, statistics: 0 };

function hash(buffers: GradientBuffers): string {
  const digest = createHash('sha256');
  for (const values of [buffers.decoder, buffers.embeddingRows, buffers.encoder, buffers.statistics])
    if (values !== undefined) digest.update(values);
  return digest.digest('hex');
}

describe.skipIf(!haveTensorflow)('the TensorFlow engine (skipped where it is not set up)', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = tensorflowEngine(tensorflow(), smallOptions);
    await engine.setParameters(parameters, first);
  });
  afterAll(() => engine.close());

  // Batch norm over three pictures' last layer amplifies differences between kernels beyond any bound, so the joint
  // step is held to the same kernels; `model/network-tensors.test.ts` holds those to tfjs's own operations.
  it.each([
    ['decoder-only', "tfjs's own operations", () => plainOps],
    ['decoder-only', 'fused kernels', () => fusedOps(tensorflow().backend)],
    ['joint', 'fused kernels', () => fusedOps(tensorflow().backend)],
  ] as const)('computes the gradients of eager execution, %s, by %s', async (phase, _, ops) => {
    const batch = smallBatch(phase as 'joint');
    const into = smallGradients();
    const { lossSum, tokens, words } = await engine.gradientStep(batch, into);
    const eager = eagerStep(small, parameters, batch, ops());
    expect(tokens).toBe(10);
    expect(Math.abs(lossSum / eager.lossSum - 1)).toBeLessThan(1e-5);
    const E = smallModel.decoder.embedding;
    const embedding = new Float32Array(smallModel.decoder.vocabulary * E);
    words.forEach((word, i) => {
      embedding.set(into.embeddingRows.subarray(i * E, (i + 1) * E), word * E);
    });
    const apart = [...eager.tensors].map(([name, wanted]) => {
      const got =
        name === decoderNames.wordEmbedding ? embedding : tensorView({ ...into, embedding }, smallLayout.entry(name));
      return { name, by: difference(got, wanted) };
    });
    expect(apart.length).toBe(phase === 'joint' ? smallSpecs.length : 6);
    expect(apart.filter(({ by }) => !(by < 1e-4))).toEqual([]);
  });

  it('gives the same bits again, whatever was computed in between', async () => {
    const into = smallGradients();
    const hashes: string[] = [];
    for (let i = 0; i < 3; i++) {
      await engine.gradientStep(smallBatch('joint'), into);
      hashes.push(hash(into));
      await engine.gradientStep(smallBatch('joint', 2), into);
      await engine.features(smallBatch('joint').images, B);
    }
    expect(new Set(hashes).size).toBe(1);
    const other = tensorflowEngine(tensorflow(), smallOptions);
    await other.setParameters(smallParameters(), first);
    await other.gradientStep(smallBatch('joint'), into);
    expect(hash(into)).toBe(hashes[0]);
    await other.close();
  });

  it("gives an image's feature whatever its neighbours are", async () => {
    const { images } = smallBatch('joint');
    const one = images.length / B;
    const together = await engine.features(images, B);
    const alone = await engine.features(images.slice(one, 2 * one), 1);
    const many = await engine.features(Float32Array.from([...images, ...images]), 2 * B);
    expect([...alone]).toEqual([...together.subarray(F, 2 * F)]);
    expect([...many]).toEqual([...together, ...together]);
    expect(together.every((value) => Number.isFinite(value)) && together.some((value) => value > 0)).toBe(true);
  });

  it('prepares the encoder anew when it has changed, and only then', async () => {
    const changed = smallParameters();
    const own = tensorflowEngine(tensorflow(), smallOptions);
    const { images } = smallBatch('joint');
    await own.setParameters(changed, first);
    const before = await own.features(images, B);
    changed.encoder.forEach((value, i) => (changed.encoder[i] = 1.1 * value));
    await own.setParameters(changed, { ...first, decoder: 1 });
    expect(await own.features(images, B)).toEqual(before);
    await own.setParameters(changed, { ...first, encoder: 2 });
    expect(await own.features(images, B)).not.toEqual(before);
    expect((await own.memory()).graphs).toBe(1);
    await own.close();
  });

  it("adds up to the training loss when evaluated without dropout, an example's words apart", async () => {
    const batch = smallBatch('decoder-only');
    const ones = { inputs: batch.dropout.inputs.map(() => 1), outputs: batch.dropout.outputs.map(() => 1) };
    const { lossSum } = await engine.gradientStep({ ...batch, dropout: ones }, smallGradients());
    const { lossSums, tokens } = await engine.evaluate(batch);
    expect([...tokens]).toEqual([5, 3, 2]);
    expect(lossSums.reduce((sum, value) => sum + value, 0)).toBeCloseTo(lossSum, 3);
  });

  it('decodes what it evaluates: log probabilities along a caption are its loss', async () => {
    const batch = smallBatch('decoder-only');
    const { vocabulary: V } = smallModel.decoder;
    let state = await engine.decodeStart(batch.features, B);
    const sums = [0, 0, 0];
    for (let t = 0; t < T; t++) {
      const words = Int32Array.from({ length: B }, (_, b) => batch.inputs[b * T + t] ?? 0);
      const step = await engine.decodeStep(words, state, V);
      for (let b = 0; b < B; b++) {
        const place = step.words.subarray(b * V, (b + 1) * V).indexOf(batch.targets[b * T + t] ?? 0);
        sums[b] = (sums[b] ?? 0) - (batch.mask[b * T + t] ?? 0) * Math.log(step.probabilities[b * V + place] ?? 0);
        const ranked = step.probabilities.subarray(b * V, (b + 1) * V);
        expect([...ranked]).toEqual([...ranked].sort((x, y) => y - x));
      }
      state = step;
    }
    const { lossSums } = await engine.evaluate(batch);
    sums.forEach((sum, b) => expect(sum).toBeCloseTo(lossSums[b] ?? NaN, 3));
    // More partial captions than fit into a batch go through it in parts.
    const seven = await engine.decodeStart(
      Float32Array.from({ length: 7 * F }, (_, i) => batch.features[i % F] ?? 0),
      7,
    );
    const row = smallModel.decoder.units;
    expect([...seven.h.subarray(6 * row)]).toEqual([...seven.h.subarray(0, row)]);
  });

  it('answers a batch in which no word counts with zeros', async () => {
    const into = smallGradients();
    into.decoder.fill(1);
    const batch = smallBatch('decoder-only');
    const result = await engine.gradientStep({ ...batch, mask: new Float32Array(B * T) }, into);
    expect(result).toMatchObject({ lossSum: 0, tokens: 0 });
    expect(into.decoder.every((value) => value === 0)).toBe(true);
  });

  it("names TensorFlow's failures: a label beyond the vocabulary", async () => {
    const batch = smallBatch('decoder-only');
    const targets = batch.targets.map(() => 1000);
    await expect(engine.gradientStep({ ...batch, targets }, smallGradients())).rejects.toMatchObject({
      code: 'engine/failed',
    });
  });

  it('holds no tensors between calls', async () => {
    const before = (await engine.memory()).tensors;
    await engine.gradientStep(smallBatch('joint'), smallGradients());
    await engine.features(smallBatch('joint').images, B);
    expect((await engine.memory()).tensors).toBe(before);
  });

  const hasBfloat16 = canBfloat16(instructionSets());

  it.skipIf(hasBfloat16)('refuses bfloat16 on a processor that has none (skipped where it has)', () => {
    expect(() => tensorflowEngine(tensorflow(), { ...smallOptions, precision: 'bfloat16' })).toThrow(
      expect.objectContaining({ code: 'engine/no-bfloat16' }) as Error,
    );
  });

  it.skipIf(!hasBfloat16)(
    'in bfloat16 (skipped where the processor has none) stays near float32, with the same bits each time',
    async () => {
      const low = tensorflowEngine(tensorflow(), { ...smallOptions, precision: 'bfloat16' });
      await low.setParameters(parameters, first);
      const [into, exact] = [smallGradients(), smallGradients()];
      const batch = smallBatch('decoder-only');
      const { lossSum } = await low.gradientStep(batch, into);
      const { lossSum: exactSum } = await engine.gradientStep(batch, exact);
      expect(lossSum).not.toBe(exactSum);
      expect(Math.abs(lossSum / exactSum - 1)).toBeLessThan(0.01);
      expect(difference(into.decoder, exact.decoder)).toBeLessThan(0.05);
      const again = smallGradients();
      await low.gradientStep(batch, again);
      expect(hash(again)).toBe(hash(into));
      await low.gradientStep(smallBatch('joint'), into);
      await low.gradientStep(smallBatch('joint'), again);
      expect(hash(again)).toBe(hash(into));
      await low.close();
    },
  );
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decoderNames } from '@showtell/shared/model/decoder.js';
import { tensorView } from '@showtell/shared/tensors/layout.js';
import type { Engine } from '@showtell/worker/engine/engine.js';
import { tensorflowEngine } from '@showtell/worker/engine/tensorflow/engine.js';
import { fusedOps } from '@showtell/worker/engine/tensorflow/fused-ops.js';
import { canBfloat16, instructionSets } from '@showtell/worker/engine/tensorflow/instruction-sets.js';
import { plainOps } from '@showtell/worker/model/ops.js';
import { backends } from '../support/backends.js';
import { difference, eagerStep } from '../support/eager-step.js';
import { haveTensorflow, tensorflow } from '../support/tensorflow.js';
import {
  B,
  small,
  smallBatch,
  smallGradients,
  smallLayout,
  smallModel,
  smallOptions,
  smallParameters,
  smallSpecs,
} from '../support/small-model.js';

import { first, hash, keepsContract } from './contract.js';

const parameters = smallParameters();

keepsContract(backends.tensorflow, small, async () => tensorflowEngine(tensorflow(), smallOptions));

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

  it('compiles the encoder once, whatever its values become', async () => {
    const own = tensorflowEngine(tensorflow(), smallOptions);
    const { images } = smallBatch('joint');
    for (const encoder of [0, 1]) {
      await own.setParameters(parameters, { ...first, encoder });
      await own.features(images, B);
    }
    expect((await own.memory()).graphs).toBe(1);
    await own.close();
  });

  it("names TensorFlow's failures: a label beyond the vocabulary", async () => {
    const batch = smallBatch('decoder-only');
    const targets = batch.targets.map(() => 1000);
    await expect(engine.gradientStep({ ...batch, targets }, smallGradients())).rejects.toMatchObject({
      code: 'engine/failed',
    });
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

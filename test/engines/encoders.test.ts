import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decoderNames } from '@showtell/shared/model/decoder.js';
import { type Segments, tensorView } from '@showtell/shared/tensors/layout.js';
import type { Engine } from '@showtell/worker/engine/engine.js';
import { tensorflowEngine } from '@showtell/worker/engine/tensorflow/engine.js';
import { fusedOps } from '@showtell/worker/engine/tensorflow/fused-ops.js';
import { canBfloat16, instructionSets } from '@showtell/worker/engine/tensorflow/instruction-sets.js';
import { difference, eagerFeatures, eagerStep } from '../support/eager-step.js';
import { B, SmallModel } from '../support/small-model.js';
import { haveTensorflow, tensorflow } from '../support/tensorflow.js';

/** Those that `tensorflow-engine.test.ts` does not go through; sides even and odd at SAME layers of stride 2. */
const models = [
  new SmallModel({ name: 'inception_v1', depthMultiplier: 0.25, imageSize: 90 }),
  new SmallModel({ name: 'inception_v2', depthMultiplier: 0.25, imageSize: 90 }),
  new SmallModel({ name: 'inception_resnet_v2', depthMultiplier: 0.125, minDepth: 8, imageSize: 107 }),
];
const first = { decoder: 0, embedding: 0, encoder: 0, statistics: 0 };

describe.skipIf(!haveTensorflow).each(models.map((small) => [small.model.encoder.name, small] as const))(
  '%s in compiled graphs (skipped where the engine is not set up)',
  (_, small) => {
    let engine: Engine;
    let parameters: Segments;
    beforeAll(async () => {
      parameters = small.parameters();
      // Above the deviation that slim's V1 draws with, so that something is left of the picture after all layers.
      for (const { name } of small.specs.filter(({ name }) => /Inception.*weights$/.test(name))) scale(name);
      engine = tensorflowEngine(tensorflow(), small.options);
      await engine.setParameters(parameters, first);
    });
    afterAll(() => engine.close());

    /** A convolution's weights to He's deviation. */
    const scale = (name: string): void => {
      const values = tensorView(parameters, small.layout.entry(name));
      const { shape } = small.layout.entry(name);
      const fanIn = shape.slice(0, -1).reduce((product, n) => product * n, 1);
      const rms = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
      values.forEach((value, i) => (values[i] = (value / rms) * Math.sqrt(2 / fanIn)));
    };

    it('computes the features of eager execution', async () => {
      const { images } = small.batch('joint');
      const wanted = eagerFeatures(small, parameters, images, fusedOps(tensorflow().backend));
      expect(wanted.some((value) => value > 0)).toBe(true);
      expect(difference(await engine.features(images, B), wanted)).toBeLessThan(1e-5);
    });

    it('computes the gradients and batch statistics of eager execution, and the same bits again', async () => {
      const batch = small.batch('joint');
      const into = small.gradients();
      const { lossSum } = await engine.gradientStep(batch, into);
      const eager = eagerStep(small, parameters, batch, fusedOps(tensorflow().backend));
      expect(Math.abs(lossSum / eager.lossSum - 1)).toBeLessThan(1e-5);
      eager.tensors.delete(decoderNames.wordEmbedding);
      // What is added to a channel before batch norm has no effect: its gradient is what rounding leaves, no number to hold.
      eager.tensors.delete('InceptionResnetV2/Block8/Conv2d_1x1/biases');
      const apart = [...eager.tensors].map(([name, wanted]) => {
        const got = tensorView({ ...into, embedding: new Float32Array() }, small.layout.entry(name));
        return { name, by: difference(got, wanted) };
      });
      expect(apart.length).toBe(small.specs.length - (small.model.encoder.name === 'inception_resnet_v2' ? 2 : 1));
      expect(apart.filter(({ by }) => !(by < 1e-3))).toEqual([]);
      const again = small.gradients();
      await engine.gradientStep(batch, again);
      expect(again.encoder).toEqual(into.encoder);
      expect(again.statistics).toEqual(into.statistics);
    });

    it.skipIf(!canBfloat16(instructionSets()))(
      'in bfloat16 sees nearly the same, with the same bits each time',
      async () => {
        const low = tensorflowEngine(tensorflow(), { ...small.options, precision: 'bfloat16' });
        await low.setParameters(parameters, first);
        const batch = small.batch('joint');
        const exact = await engine.features(batch.images, B);
        const rough = await low.features(batch.images, B);
        expect(rough).not.toEqual(exact);
        expect(difference(rough, exact)).toBeLessThan(0.1);
        const [into, again, reference] = [small.gradients(), small.gradients(), small.gradients()];
        const { lossSum } = await low.gradientStep(batch, into);
        const { lossSum: exactSum } = await engine.gradientStep(batch, reference);
        expect(Math.abs(lossSum / exactSum - 1)).toBeLessThan(0.02);
        await low.gradientStep(batch, again);
        expect(again.encoder).toEqual(into.encoder);
        expect(into.encoder.every((value) => Number.isFinite(value))).toBe(true);
        await low.close();
      },
    );
  },
);

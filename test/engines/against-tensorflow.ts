import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tensorView } from '@showtell/shared/tensors/layout.js';
import type { Engine } from '@showtell/worker/engine/engine.js';
import { EngineThread } from '@showtell/worker/engine/engine-thread.js';
import type { Backend } from '../support/backends.js';
import { difference } from '../support/eager-step.js';
import { B, type SmallModel, T } from '../support/small-model.js';
import { haveTensorflow } from '../support/tensorflow.js';
import { first } from './contract.js';

/** An engine's numbers beside those of compiled TensorFlow graphs, which compute in a thread of their own. */
export function agreesWithTensorflow(
  { name, available, needs }: Backend,
  small: SmallModel,
  open: () => Promise<Engine>,
): void {
  const title = `the ${name} engine beside TensorFlow (${needs}, and showtell engine setup)`;
  describe.skipIf(!available || !haveTensorflow)(title, () => {
    let engine: Engine;
    let reference: EngineThread;
    beforeAll(async () => {
      engine = await open();
      reference = await EngineThread.open('tensorflow', small.options);
      for (const each of [engine, reference]) await each.setParameters(small.parameters(), first);
    });
    afterAll(async () => {
      await engine.close();
      await reference.close();
    });

    it('computes the same features', async () => {
      const { images } = small.batch('joint');
      expect(difference(await engine.features(images, B), await reference.features(images, B))).toBeLessThan(1e-4);
    });

    it('computes the same decoder-only step', async () => {
      const batch = small.batch('decoder-only');
      const [into, wanted] = [small.gradients(), small.gradients()];
      const { lossSum, tokens, words } = await engine.gradientStep(batch, into);
      const there = await reference.gradientStep(batch, wanted);
      expect(Math.abs(lossSum / there.lossSum - 1)).toBeLessThan(1e-5);
      expect([tokens, [...words]]).toEqual([there.tokens, [...there.words]]);
      const rows = words.length * small.options.model.decoder.embedding;
      expect(difference(into.embeddingRows.subarray(0, rows), wanted.embeddingRows.subarray(0, rows))).toBeLessThan(
        1e-4,
      );
      expect(difference(into.decoder, wanted.decoder)).toBeLessThan(1e-4);
    });

    // Of the encoder's gradients more can be said beside TF-Slim (test/parity/encoders): here batch norm over three
    // pictures' last layer magnifies what rounding leaves.
    it('computes nearly the same joint step', async () => {
      const batch = small.batch('joint');
      const [into, wanted] = [small.gradients(), small.gradients()];
      const { lossSum } = await engine.gradientStep(batch, into);
      const there = await reference.gradientStep(batch, wanted);
      expect(Math.abs(lossSum / there.lossSum - 1)).toBeLessThan(1e-4);
      for (const { name } of small.specs.filter(({ group }) => group === 'statistics')) {
        const [here, far] = [into, wanted].map((each) =>
          tensorView({ ...each, embedding: each.embeddingRows }, small.layout.entry(name)),
        );
        expect(difference(here!, far!), name).toBeLessThan(1e-2);
      }
    });

    it('evaluates and decodes the same', async () => {
      const batch = small.batch('decoder-only');
      const [here, there] = [await engine.evaluate(batch), await reference.evaluate(batch)];
      expect(difference(here.lossSums, there.lossSums)).toBeLessThan(1e-5);
      const words = Int32Array.from({ length: B }, (_, b) => batch.inputs[b * T] ?? 0);
      const steps = [];
      for (const each of [engine, reference])
        steps.push(await each.decodeStep(words, await each.decodeStart(batch.features, B), 5));
      const [own, wanted] = steps;
      expect([...own!.words]).toEqual([...wanted!.words]);
      expect(difference(own!.probabilities, wanted!.probabilities)).toBeLessThan(1e-5);
    });
  });
}

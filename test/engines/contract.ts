import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, GradientBuffers } from '@showtell/worker/engine/engine.js';
import type { Backend } from '../support/backends.js';
import { B, type SmallModel, T } from '../support/small-model.js';

export const first = { decoder: 0, embedding: 0, encoder: 0, statistics: 0 };

export function hash(buffers: GradientBuffers): string {
  const digest = createHash('sha256');
  for (const values of [buffers.decoder, buffers.embeddingRows, buffers.encoder, buffers.statistics])
    if (values !== undefined) digest.update(values);
  return digest.digest('hex');
}

/** What `engine.ts` promises of every engine. */
export function keepsContract(
  { name, available, needs }: Backend,
  small: SmallModel,
  open: () => Promise<Engine>,
): void {
  const { F } = small;

  describe.skipIf(!available)(`the contract, by the ${name} engine (${needs})`, () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open();
      await engine.setParameters(small.parameters(), first);
    });
    afterAll(() => engine.close());

    it('gives the same bits again, whatever was computed in between', async () => {
      const into = small.gradients();
      const hashes: string[] = [];
      for (let i = 0; i < 3; i++) {
        await engine.gradientStep(small.batch('joint'), into);
        hashes.push(hash(into));
        await engine.gradientStep(small.batch('joint', 2), into);
        await engine.features(small.batch('joint').images, B);
      }
      expect(new Set(hashes).size).toBe(1);
      const other = await open();
      await other.setParameters(small.parameters(), first);
      await other.gradientStep(small.batch('joint'), into);
      expect(hash(into)).toBe(hashes[0]);
      await other.close();
    });

    it("gives an image's feature whatever its neighbours are", async () => {
      const { images } = small.batch('joint');
      const one = images.length / B;
      const together = await engine.features(images, B);
      const alone = await engine.features(images.slice(one, 2 * one), 1);
      const many = await engine.features(Float32Array.from([...images, ...images]), 2 * B);
      expect([...alone]).toEqual([...together.subarray(F, 2 * F)]);
      expect([...many]).toEqual([...together, ...together]);
      expect(together.every((value) => Number.isFinite(value)) && together.some((value) => value > 0)).toBe(true);
    });

    it('prepares the encoder anew when it has changed, and only then', async () => {
      const changed = small.parameters();
      const own = await open();
      const { images } = small.batch('joint');
      await own.setParameters(changed, first);
      const before = await own.features(images, B);
      changed.encoder.forEach((value, i) => (changed.encoder[i] = 1.1 * value));
      await own.setParameters(changed, { ...first, decoder: 1 });
      expect(await own.features(images, B)).toEqual(before);
      await own.setParameters(changed, { ...first, encoder: 2 });
      expect(await own.features(images, B)).not.toEqual(before);
      await own.close();
    });

    it("adds up to the training loss when evaluated without dropout, an example's words apart", async () => {
      const batch = small.batch('decoder-only');
      const ones = { inputs: batch.dropout.inputs.map(() => 1), outputs: batch.dropout.outputs.map(() => 1) };
      const { lossSum } = await engine.gradientStep({ ...batch, dropout: ones }, small.gradients());
      const { lossSums, tokens } = await engine.evaluate(batch);
      expect([...tokens]).toEqual([5, 3, 2]);
      expect(lossSums.reduce((sum, value) => sum + value, 0)).toBeCloseTo(lossSum, 3);
    });

    it('decodes what it evaluates: log probabilities along a caption are its loss', async () => {
      const batch = small.batch('decoder-only');
      const { vocabulary: V } = small.model.decoder;
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
      const row = small.model.decoder.units;
      expect([...seven.h.subarray(6 * row)]).toEqual([...seven.h.subarray(0, row)]);
    });

    it('answers a batch in which no word counts with zeros', async () => {
      const into = small.gradients();
      into.decoder.fill(1);
      const batch = small.batch('decoder-only');
      const result = await engine.gradientStep({ ...batch, mask: new Float32Array(B * T) }, into);
      expect(result).toMatchObject({ lossSum: 0, tokens: 0 });
      expect(into.decoder.every((value) => value === 0)).toBe(true);
    });

    it('holds no tensors between calls', async () => {
      const before = (await engine.memory()).tensors;
      await engine.gradientStep(small.batch('joint'), small.gradients());
      await engine.features(small.batch('joint').images, B);
      expect((await engine.memory()).tensors).toBe(before);
    });
  });
}

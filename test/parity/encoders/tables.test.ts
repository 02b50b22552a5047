import { describe, expect, it } from 'vitest';
import { costOf, encoderLayers } from '@showtell/shared/model/cost.js';
import { jobSchema } from '@showtell/shared/job/job.js';
import {
  type EncoderName,
  type Initializer,
  type ModelShape,
  encoderParameters,
  encoders,
  parametersOf,
} from '@showtell/shared/model/parameters.js';
import { product } from './formula.js';
import { slimValues } from './values.js';

const decoder = { embedding: 512, units: 512, vocabulary: 12_000, initScale: 0.08 };

/** Root mean square and largest possible value of what an initializer draws. */
function spreadOf(initializer: Initializer): { rms: number; most: number } {
  switch (initializer.kind) {
    case 'zeros':
      return { rms: 0, most: 0 };
    case 'ones':
      return { rms: 1, most: 1 };
    case 'uniform':
      return { rms: initializer.scale / Math.sqrt(3), most: initializer.scale };
    case 'truncated-normal':
      // A normal cut at two deviations has 0.7737 of its variance.
      return { rms: initializer.stddev * Math.sqrt(0.77374), most: 2 * initializer.stddev };
  }
}

describe.each(Object.keys(encoders) as EncoderName[])('the table of %s', (name) => {
  const { table } = slimValues(name);
  const encoder = { name, depthMultiplier: 1, imageSize: table.native };
  const model: ModelShape = { encoder, decoder };
  const specs = encoderParameters(encoder);

  it("gives slim's variables, in its order and shapes", () => {
    expect(specs.map(({ name, shape }) => [name, shape])).toEqual(
      table.variables.map(([name, shape]) => [name, shape]),
    );
  });

  it('gives their shapes at another width', () => {
    const thin = encoderParameters({ name, depthMultiplier: table.thin.multiplier });
    expect(thin.map(({ shape }) => shape)).toEqual(table.thin.shapes);
  });

  it("lists slim's convolutions", () => {
    expect(encoderLayers(encoder).map(({ name }) => name)).toEqual(table.layers);
  });

  it("knows the size it was made for, and counts slim's multiply-adds there", () => {
    expect(encoders[name].nativeSize).toBe(table.native);
    expect(costOf(model).encoderMultiplyAdds).toBe(table.multiplyAdds);
  });

  it("decays what im2txt's L2 applies to", () => {
    expect(specs.filter(({ l2 }) => l2).map(({ name }) => name)).toEqual(
      table.variables.filter(([, , l2]) => l2).map(([name]) => name),
    );
  });

  it("draws first values as slim's arg scope does", () => {
    table.variables.forEach(([variable, shape, , rms, largest], i) => {
      const expected = spreadOf(specs[i]!.initializer);
      // The mean square of n draws is within 6 / √n of its expectation.
      expect(Math.abs(rms - expected.rms), variable).toBeLessThanOrEqual(
        (expected.rms * 6) / Math.sqrt(product(shape)),
      );
      expect(largest, variable).toBeLessThanOrEqual(expected.most * 1.00001 + 1e-5);
      expect(largest, variable).toBeGreaterThanOrEqual(expected.most * 0.8);
    });
  });

  it("has slim's batch norm by default", () => {
    const { batchNormDecay, batchNormEpsilon } = jobSchema.parse({}).model.encoder;
    expect({ decay: batchNormDecay, epsilon: batchNormEpsilon }).toEqual(table.norm);
  });
});

describe("im2txt's checkpoint", () => {
  it('has as many values', () => {
    const model: ModelShape = { encoder: { name: 'inception_v3', depthMultiplier: 1, imageSize: 299 }, decoder };
    const count = (...groups: string[]) =>
      parametersOf(model).reduce((sum, spec) => sum + (groups.includes(spec.group) ? product(spec.shape) : 0), 0);
    expect(count('decoder', 'embedding')).toBe(15_447_776);
    expect(count('encoder', 'statistics')).toBe(21_802_784);
    expect(costOf(model).parameters.all).toBe(37_250_560);
  });
});

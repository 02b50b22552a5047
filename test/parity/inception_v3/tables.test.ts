import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { costOf } from '@showtell/shared/model/cost.js';
import { type ModelShape, encoderParameters, parametersOf } from '@showtell/shared/model/parameters.js';
import { product } from './formula.js';

const slim = JSON.parse(readFileSync(new URL('variables.json', import.meta.url), 'utf8')) as {
  multiplyAdds: number;
  variables: [string, number[]][];
};
const full: ModelShape = {
  encoder: { name: 'inception_v3', depthMultiplier: 1, imageSize: 299 },
  decoder: { embedding: 512, units: 512, vocabulary: 12_000, initScale: 0.08 },
};

describe('the tables', () => {
  it("give slim's variables, in its order and shapes", () => {
    expect(encoderParameters(full.encoder).map(({ name, shape }) => [name, shape])).toEqual(slim.variables);
  });

  it("count what im2txt's checkpoint holds", () => {
    const count = (...groups: string[]) =>
      parametersOf(full).reduce((sum, spec) => sum + (groups.includes(spec.group) ? product(spec.shape) : 0), 0);
    expect(count('decoder', 'embedding')).toBe(15_447_776);
    expect(count('encoder', 'statistics')).toBe(21_802_784);
    expect(costOf(full).parameters.all).toBe(37_250_560);
  });

  it("count slim's multiply-adds", () => {
    expect(costOf(full).encoderMultiplyAdds).toBe(slim.multiplyAdds);
  });
});

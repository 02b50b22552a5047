import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { initializeModel, initializeParameter } from '@showtell/shared/model/initialize.js';
import { type ParameterSpec, parametersOf } from '@showtell/shared/model/parameters.js';

const specs = parametersOf({
  encoder: { name: 'inception_v3', depthMultiplier: 0.25, imageSize: 80 },
  decoder: { embedding: 48, units: 64, vocabulary: 200, initScale: 0.08 },
});
const spec = (name: string): ParameterSpec => specs.find((candidate) => candidate.name === name)!;

function sha256(arrays: Iterable<Float32Array>): string {
  const hash = createHash('sha256');
  for (const array of arrays) hash.update(new Uint8Array(array.buffer));
  return hash.digest('hex').slice(0, 16);
}

describe('first values', () => {
  it('are the same bits on every version of Node', () => {
    expect(sha256(initializeModel(1, specs).values())).toMatchInlineSnapshot(`"a6b85a16cfe553f5"`);
  });

  it('depend on the seed and the name alone', () => {
    const kernel = spec('lstm/basic_lstm_cell/kernel');
    expect(initializeParameter(1, kernel)).toEqual(initializeModel(1, [...specs].reverse()).get(kernel.name));
    expect(initializeParameter(2, kernel)).not.toEqual(initializeParameter(1, kernel));
    expect(initializeParameter(1, { ...kernel, name: 'other' })).not.toEqual(initializeParameter(1, kernel));
  });

  it('have the spread that is asked for', () => {
    const weights = initializeParameter(1, spec('InceptionV3/Mixed_7b/Branch_2/Conv2d_0b_3x3/weights'));
    const variance = weights.reduce((sum, x) => sum + x * x, 0) / weights.length;
    // He's 2 / fan-in, the truncation made up for.
    expect(variance / (2 / (9 * 112))).toBeCloseTo(1.0056, 1);
    const table = initializeParameter(1, spec('seq_embedding/map'));
    expect(table.every((x) => x >= -0.08 && x < 0.08)).toBe(true);
    expect(Math.max(...table)).toBeGreaterThan(0.079);
    expect(initializeParameter(1, spec('lstm/basic_lstm_cell/bias')).every((x) => x === 0)).toBe(true);
    expect(
      initializeParameter(1, spec('InceptionV3/Conv2d_1a_3x3/BatchNorm/moving_variance')).every((x) => x === 1),
    ).toBe(true);
  });
});

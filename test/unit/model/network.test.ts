import { describe, expect, it } from 'vitest';
import { costOf, encoderLayers } from '@showtell/shared/model/cost.js';
import {
  type ConvLayer,
  type Network,
  type Row,
  conv,
  fork,
  maxPool,
  mixed,
  residual,
  walkNetwork,
} from '@showtell/shared/model/network.js';
import { encoderParameters, encoders, featuresOf, parametersOf } from '@showtell/shared/model/parameters.js';
import { fits, smallestSize } from '@showtell/shared/model/smallest-size.js';

function layersOf(rows: readonly Row[], depthMultiplier = 1, minDepth = 16): { layers: ConvLayer[]; channels: number } {
  const network: Network = { scope: 'Net', nativeSize: 32, minDepth, firstValues: 'variance-scaling', rows };
  const layers: ConvLayer[] = [];
  const collect = (layer: ConvLayer) => {
    layers.push(layer);
    return null;
  };
  const nothing = () => null;
  const { channels } = walkNetwork<null>(
    network,
    depthMultiplier,
    { conv: collect, pool: nothing, concat: nothing, add: nothing },
    null,
  );
  return { layers, channels };
}

describe('the walk over a table', () => {
  it('names layers after their scopes and counts the channels that branches join to', () => {
    const { layers, channels } = layersOf([
      conv('First', 32, [3, 3]),
      mixed(
        'Mixed',
        [conv('A', 16, [1, 1])],
        [conv('B', 24, [1, 1]), fork(conv('C', 40, [1, 3]), conv('D', 48, [3, 1]))],
        [maxPool(3, 1, 'SAME')],
      ),
      conv('Last', 64, [1, 1]),
    ]);
    expect(layers.map(({ name, inputs, outputs }) => [name, inputs, outputs])).toEqual([
      ['Net/First', 3, 32],
      ['Net/Mixed/Branch_0/A', 32, 16],
      ['Net/Mixed/Branch_1/B', 32, 24],
      ['Net/Mixed/Branch_1/C', 24, 40],
      ['Net/Mixed/Branch_1/D', 24, 48],
      ['Net/Last', 16 + 40 + 48 + 32, 64],
    ]);
    expect(channels).toBe(64);
  });

  it("projects a residual block's branches back to its input, biased and without batch norm", () => {
    const block = residual(
      'Block',
      { scale: 0.17 },
      [conv('Conv2d_1x1', 32, [1, 1])],
      [conv('Conv2d_0a_1x1', 48, [1, 1])],
    );
    const { layers, channels } = layersOf([conv('First', 320, [1, 1]), block]);
    expect(layers.at(-1)).toMatchObject({
      name: 'Net/Block/Conv2d_1x1',
      inputs: 80,
      outputs: 320,
      finish: 'bias',
      scale: 0.17,
    });
    expect(channels).toBe(320);
  });

  it("bounds a separable convolution's multiplier as Inception V2 does", () => {
    const separable: Row = {
      kind: 'separable',
      name: 'Conv2d_1a_7x7',
      channels: 64,
      kernel: [7, 7],
      stride: 2,
      padding: 'SAME',
      maxMultiplier: 8,
      stddev: 1,
    };
    expect(layersOf([separable]).layers[0]).toMatchObject({
      inputs: 3,
      outputs: 64,
      multiplier: 8,
      finish: 'bias-relu',
    });
    expect(layersOf([separable], 0.25).layers[0]).toMatchObject({ outputs: 16, multiplier: 5 });
  });

  it('scales depths as slim: truncated, never below 16', () => {
    expect(layersOf([conv('A', 90, [1, 1]), conv('B', 20, [1, 1])], 0.5).layers.map(({ outputs }) => outputs)).toEqual([
      45, 16,
    ]);
    expect(featuresOf({ name: 'inception_v3', depthMultiplier: 0.25 })).toBe(512);
  });

  it('goes below 16 where the encoder is given another smallest depth', () => {
    const thin = { name: 'inception_v1', depthMultiplier: 0.125 } as const;
    const channels = (minDepth?: number) =>
      encoderParameters({ ...thin, ...(minDepth === undefined ? {} : { minDepth }) })
        .find(({ name }) => name === 'InceptionV1/Conv2d_1a_7x7/weights')
        ?.shape.at(-1);
    expect([channels(), channels(10), channels(4)]).toEqual([16, 10, 8]);
    expect(featuresOf({ ...thin, minDepth: 4 })).toBe(128);
  });
});

describe('the encoders', () => {
  it.each([
    ['inception_v1', 57, [7, 7, 128], 1024],
    ['inception_v2', 69, [7, 7, 128], 1024],
    ['inception_v3', 94, [8, 8, 192], 2048],
    ['inception_resnet_v2', 244, [8, 8, 1536], 1536],
  ] as const)('%s has %i convolutions, ends in %j and pools to %i features', (name, count, last, features) => {
    const layers = encoderLayers({ name, depthMultiplier: 1, imageSize: encoders[name].nativeSize });
    expect(layers).toHaveLength(count);
    expect(layers.at(-1)?.output).toEqual(last);
    expect(featuresOf({ name, depthMultiplier: 1 })).toBe(features);
  });

  it.each([
    ['inception_v1', 1],
    ['inception_v2', 1],
    ['inception_v3', 75],
    ['inception_resnet_v2', 75],
  ] as const)('%s takes pictures from %i pixels on', (name, side) => {
    expect(smallestSize({ name })).toBe(side);
    expect([side - 1, side, side + 1].map((size) => fits({ name }, size))).toEqual([false, true, true]);
    const sides = encoderLayers({ name, depthMultiplier: 1, imageSize: side }).flatMap(({ output }) => output);
    expect(Math.min(...sides)).toBe(1);
  });
});

describe('Inception V3', () => {
  const encoder = { name: 'inception_v3', depthMultiplier: 1, imageSize: 299 } as const;

  it('ends in 8×8×2048 from 299 pixels', () => {
    const layers = encoderLayers(encoder);
    expect(layers).toHaveLength(94);
    expect(layers.find(({ name }) => name.endsWith('Conv2d_4a_3x3'))?.output).toEqual([71, 71, 192]);
    expect(layers.at(-1)?.output).toEqual([8, 8, 192]);
    expect(featuresOf(encoder)).toBe(2048);
  });

  it('has no two parameters of one name, and decays the weights of convolutions alone', () => {
    const specs = parametersOf({
      encoder,
      decoder: { embedding: 512, units: 512, vocabulary: 12_000, initScale: 0.08 },
    });
    expect(new Set(specs.map(({ name }) => name)).size).toBe(specs.length);
    expect(specs.filter(({ l2 }) => l2).map(({ name }) => name)).toEqual(
      specs.map(({ name }) => name).filter((name) => name.startsWith('InceptionV3/') && name.endsWith('/weights')),
    );
  });

  it("starts from slim's variance scaling", () => {
    const [first] = encoderParameters(encoder);
    expect(first?.initializer).toEqual({ kind: 'truncated-normal', stddev: Math.sqrt((1.3 * 2) / 27) });
  });

  it('costs less when thin and small', () => {
    const cost = costOf({
      encoder: { ...encoder, depthMultiplier: 0.25, imageSize: 80 },
      decoder: { embedding: 64, units: 64, vocabulary: 100, initScale: 0.08 },
    });
    expect(cost.encoderMultiplyAdds).toBeGreaterThan(10e6);
    expect(cost.encoderMultiplyAdds).toBeLessThan(30e6);
    expect(cost.wordMultiplyAdds).toBe(128 * 256 + 64 * 100);
  });
});

import { appendFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import * as tf from '@tensorflow/tfjs';
import { openLayersModel } from '@showtell/coordinator/checkpoints/tfjs/layers-model.js';
import type { VariableSource } from '@showtell/coordinator/checkpoints/variable-source.js';
import { readManifest } from '@showtell/coordinator/checkpoints/tfjs/weights-manifest.js';
import { random } from '@showtell/shared/random.js';
import { type ModelJson, nsfwModel, type TopologyLayer, writeModel } from '../../support/nsfw-model.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

let stored: { json: ModelJson; shards: Buffer[] };

beforeAll(async () => {
  stored = await nsfwModel();
});

/** The model as files, after a change of its JSON. */
function changed(change: (json: ModelJson, layer: (name: string) => TopologyLayer) => void): string {
  const json = structuredClone(stored.json);
  const layers = json.modelTopology.model_config.config.layers;
  change(json, (name) => layers.find((layer) => layer.name === name) as TopologyLayer);
  return writeModel(temporaryFolder(), { json, shards: stored.shards });
}

const open = (file: string): VariableSource => openLayersModel(file, 'inception_v3', 1);
/** Keras' names by slim's, of the encoder's variables. */
const fromOf = (model: VariableSource): Map<string, string> =>
  new Map(model.variables.slice(0, 4 * 94).map(({ own = '', name }) => [own, name]));

/** Gives every layer a new name, drawn, wherever it stands. */
function renamed(json: ModelJson, prefix = ''): Map<string, string> {
  const layers = json.modelTopology.model_config.config.layers;
  const stream = random(5, 'names');
  const numbers = layers.map((_, i) => i);
  for (let i = numbers.length - 1; i > 0; i--) {
    const j = Math.floor(stream.float() * (i + 1));
    [numbers[i], numbers[j]] = [numbers[j] as number, numbers[i] as number];
  }
  const names = new Map(layers.map((layer, i) => [layer.name, `layer_${numbers[i] ?? 0}`]));
  const text = JSON.stringify(layers).replaceAll(/"([a-z0-9_]+)"/g, (whole, name: string) => {
    const other = names.get(name);
    return other === undefined ? whole : `"${other}"`;
  });
  json.modelTopology.model_config.config.layers = JSON.parse(text) as TopologyLayer[];
  for (const weight of json.weightsManifest.flatMap((group) => group.weights)) {
    const [layer = '', kind = ''] = weight.name.split('/');
    weight.name = `${prefix}${names.get(layer) ?? layer}/${kind}`;
  }
  return names;
}

describe('an encoder in a Keras layers model', () => {
  it('is found by its structure: slim’s order is not that of Keras’ numbers', () => {
    const from = fromOf(open(writeModel(temporaryFolder(), stored)));
    expect(from.size).toBe(4 * 94);
    expect(from.get('InceptionV3/Conv2d_1a_3x3/weights')).toBe('conv2d_1/kernel');
    expect(from.get('InceptionV3/Mixed_5b/Branch_1/Conv2d_0b_5x5/BatchNorm/beta')).toBe('batch_normalization_8/beta');
    expect(from.get('InceptionV3/Mixed_5c/Branch_1/Conv_1_0c_5x5/weights')).toBe('conv2d_15/kernel');
    expect(from.get('InceptionV3/Mixed_7c/Branch_2/Conv2d_0d_3x1/BatchNorm/moving_mean')).toBe(
      'batch_normalization_93/moving_mean',
    );
  });

  it('whatever its layers are called, in whatever order they stand, within another model or with Keras 3’s wires', () => {
    const plain = fromOf(open(writeModel(temporaryFolder(), stored)));
    let names = new Map<string, string>();
    const shuffled = open(
      changed((json) => {
        names = renamed(json, 'inception_v3/');
        json.modelTopology.model_config.config.layers.reverse();
        const inner = {
          class_name: 'Functional',
          config: json.modelTopology.model_config.config,
          name: 'inner',
          inbound_nodes: [],
        };
        json.modelTopology.model_config = {
          class_name: 'Sequential',
          config: { layers: [inner] },
        };
      }),
    );
    const expected = [...plain].map(([name, from]) => {
      const [layer = '', kind = ''] = from.split('/');
      return [name, `inception_v3/${names.get(layer) ?? ''}/${kind}`];
    });
    expect([...fromOf(shuffled)]).toEqual(expected);

    const keras3 = changed((json) => {
      for (const layer of json.modelTopology.model_config.config.layers) {
        const [wires = []] = layer.inbound_nodes as [string, number, number][][];
        const tensors = wires.map((wire) => ({
          class_name: '__keras_tensor__',
          config: { keras_history: wire.slice(0, 3) },
        }));
        layer.inbound_nodes =
          tensors.length === 0 ? [] : [{ args: tensors.length === 1 ? tensors : [tensors], kwargs: {} }];
      }
    });
    expect(fromOf(open(keras3))).toEqual(plain);
  });

  it('keeps epsilon, takes a gamma of ones, and folds a bias into the mean', () => {
    const file = changed((json, layer) => {
      for (const { class_name, config } of json.modelTopology.model_config.config.layers)
        if (class_name === 'BatchNormalization') config['epsilon'] = 0.002;
      layer('batch_normalization_1').config['scale'] = true;
      layer('conv2d_2').config['use_bias'] = true;
      const quantization = (min: number, scale: number) => ({ dtype: 'uint8' as const, min, scale });
      json.weightsManifest.push({
        paths: ['extra'],
        weights: [
          { name: 'batch_normalization_1/gamma', shape: [32], dtype: 'float32', quantization: quantization(1, 0) },
          { name: 'conv2d_2/bias', shape: [32], dtype: 'float32', quantization: quantization(0.25, 0) },
        ],
      });
    });
    writeFileSync(join(dirname(file), 'extra'), Buffer.alloc(64));
    const model = open(file);
    expect(model.batchNormEpsilon).toBe(0.002);
    const read = (from: VariableSource): Float32Array => {
      const values = new Float32Array(32);
      from.variables.find(({ own }) => own === 'InceptionV3/Conv2d_2a_3x3/BatchNorm/moving_mean')?.read(values);
      return values;
    };
    const before = read(open(writeModel(temporaryFolder(), stored)));
    expect([...read(model)]).toEqual([...before.map((value) => value - 0.25)]);
  });

  const joined = (layer: TopologyLayer): unknown[] => (layer.inbound_nodes as unknown[][])[0] as unknown[];
  it.each<[string, (json: ModelJson, layer: (name: string) => TopologyLayer) => void, string, RegExp]>([
    [
      'branches in another order',
      (_json, layer) => void joined(layer('mixed0')).reverse(),
      'tfjs/other-net',
      /mixed0|conv2d|pool/,
    ],
    [
      'another kernel',
      (_json, layer) => (layer('conv2d_8').config['kernel_size'] = [3, 3]),
      'tfjs/other-net',
      /conv2d_8 is .*\[3,3\].*Conv2d_0b_5x5/,
    ],
    ['another padding', (_json, layer) => (layer('conv2d_2').config['padding'] = 'same'), 'tfjs/other-net', /conv2d_2/],
    [
      'another pool',
      (_json, layer) => (layer('max_pooling2d_1').class_name = 'AveragePooling2D'),
      'tfjs/other-net',
      /max_pooling2d_1 is AveragePooling2D/,
    ],
    [
      'another activation',
      (_json, layer) => (layer('activation_3').config['activation'] = 'swish'),
      'tfjs/other-net',
      /activation_3/,
    ],
    [
      'a wire to another layer',
      (_json, layer) => (layer('conv2d_4').inbound_nodes = [[['activation_1', 0, 0, {}]]]),
      'tfjs/other-net',
      /./,
    ],
    [
      'several epsilons',
      (_json, layer) => (layer('batch_normalization_9').config['epsilon'] = 0.1),
      'tfjs/other-net',
      /several epsilons/,
    ],
    [
      'a missing weight',
      (json) =>
        json.weightsManifest[0]?.weights.forEach(
          (weight) => (weight.name = weight.name.replace('conv2d_40/', 'other/')),
        ),
      'tfjs/malformed',
      /no conv2d_40\/kernel/,
    ],
    [
      'a gamma',
      (json, layer) => {
        layer('batch_normalization_1').config['scale'] = true;
        const weight = json.weightsManifest[0]?.weights.find(({ name }) => name === 'dense_1/bias');
        if (weight !== undefined) weight.name = 'batch_normalization_1/gamma';
      },
      'tfjs/other-net',
      /gamma scales what batch norm gives/,
    ],
    [
      'a path out of its folder',
      (json) => (json.weightsManifest[0]!.paths[0] = '../elsewhere'),
      'tfjs/malformed',
      /not in its folder/,
    ],
    [
      'weights of another length',
      (json) => (json.weightsManifest[0]!.weights[0]!.shape = [33]),
      'tfjs/malformed',
      /take \d+ bytes/,
    ],
    ['a graph model', (json) => Object.assign(json, { format: 'graph-model' }), 'tfjs/malformed', /graph model/],
    ['no topology', (json) => Object.assign(json, { modelTopology: null }), 'tfjs/malformed', /no modelTopology/],
    [
      'no manifest',
      (json) => Object.assign(json, { weightsManifest: [{ paths: [] }] }),
      'tfjs/malformed',
      /weightsManifest/,
    ],
  ])('is refused with %s, and the reason said', (_what, change, code, message) => {
    expect(() => open(changed(change))).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }),
    );
  });

  it('is refused when a file of it is missing, cut short or too long, or it is no JSON', () => {
    const file = writeModel(temporaryFolder(), stored);
    const shard = join(dirname(file), stored.json.weightsManifest[0]?.paths[5] ?? '');
    appendFileSync(shard, 'x');
    expect(() => open(file)).toThrow(expect.objectContaining({ code: 'tfjs/malformed' }));
    truncateSync(shard, 1000);
    expect(() => open(file)).toThrow(expect.objectContaining({ code: 'tfjs/malformed' }));
    rmSync(shard);
    expect(() => open(file)).toThrow(expect.objectContaining({ code: 'file/missing' }));
    writeFileSync(file, '{"modelTopology":');
    expect(() => open(file)).toThrow(expect.objectContaining({ code: 'tfjs/malformed' }));
    rmSync(file);
    expect(() => open(file)).toThrow(expect.objectContaining({ code: 'file/missing' }));
  });
});

it('quantised weights are what tfjs makes of them: uint8, uint16, float16, float32, over the edges of files', async () => {
  const folder = temporaryFolder();
  const stream = random(9, 'bytes');
  const kinds = [
    ['a', 'uint8', 1, { min: -1.25, scale: 0.013 }],
    ['b', 'uint16', 2, { min: 0.1, scale: 0.00037 }],
    ['c', 'float16', 2, {}],
    ['d', null, 4, {}],
  ] as const;
  const weights = kinds.map(([name, dtype, , numbers]) => ({
    name,
    shape: [7, 3],
    dtype: 'float32' as const,
    ...(dtype === null ? {} : { quantization: { dtype, ...numbers } }),
  }));
  const bytes = Buffer.concat(
    kinds.map(([, dtype, size]) => {
      const part = Buffer.from(Uint8Array.from({ length: 21 * size }, () => Math.floor(stream.float() * 256)));
      // Halves that are subnormal, and none that are infinite: tfjs keeps NaN's payload, which proves nothing.
      if (dtype === 'float16')
        for (let i = 0; i < 42; i += 2) part.writeUInt16LE(part.readUInt16LE(i) & (i < 8 ? 0x83ff : 0xbfff), i);
      if (dtype === null) for (let i = 0; i < 84; i += 4) part.writeFloatLE(stream.float() - 0.5, i);
      return part;
    }),
  );
  const cuts = [0, 10, 11, 60, bytes.length];
  const paths = cuts.slice(1).map((end, i) => {
    writeFileSync(join(folder, `part${i}`), bytes.subarray(cuts[i], end));
    return `part${i}`;
  });
  const ours = readManifest(join(folder, 'model.json'), [{ paths, weights }]);
  const theirs = tf.io.decodeWeights(new Uint8Array(bytes).buffer, weights);
  for (const [name, weight] of ours) {
    const values = new Float32Array(21);
    weight.read(values);
    expect([name, ...values]).toEqual([name, ...((await theirs[name]?.data()) ?? [])]);
  }
});

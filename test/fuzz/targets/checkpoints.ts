import { encodeManifest, type ManifestContent, parseManifest } from '@showtell/coordinator/checkpoints/manifest.js';
import { openLayersModel } from '@showtell/coordinator/checkpoints/tfjs/layers-model.js';
import { safetensorsSource } from '@showtell/coordinator/checkpoints/safetensors-source.js';
import type { VariableSource } from '@showtell/coordinator/checkpoints/variable-source.js';
import { newestCheckpoint } from '@showtell/shared/tensors/checkpoint-state.js';
import { sizeOf } from '@showtell/shared/tensors/layout.js';
import { safetensorsBytes } from '@showtell/shared/tensors/safetensors.js';
import { weightsFiles } from '@showtell/shared/tensors/weights-files.js';
import { scratchFile } from '../scratch.js';
import { sealManifest } from '../seal.js';
import type { FuzzTarget } from '../target.js';

/** Reads every variable as an import does. */
export function readAll({ variables }: VariableSource): void {
  for (const variable of variables) if (variable.numeric) variable.read(new Float32Array(sizeOf(variable.shape)));
}

const safetensors: FuzzTarget = {
  name: 'safetensors',
  what: 'safetensors files',
  seeds: () => ({
    two: Buffer.concat([
      ...safetensorsBytes(
        [
          { name: 'a', shape: [2, 1], values: Float32Array.of(1, 2) },
          { name: 'b/c', shape: [], values: Float32Array.of(3) },
        ],
        { step: '3' },
      ),
    ]),
    none: Buffer.concat([...safetensorsBytes([])]),
    half: withHeader({ h: { dtype: 'BF16', shape: [2], data_offsets: [0, 4] } }, 4),
  }),
  run: (input) => {
    const file = scratchFile('some.safetensors', input);
    readAll(safetensorsSource(file, file));
  },
};

function withHeader(header: object, bytes: number): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(bytes)]);
}

const hash = 'ab'.repeat(32);
const content: ManifestContent = {
  format: 'showtell-checkpoint-1',
  run: 'scenes-1',
  step: 3,
  phase: 'decoder-only',
  switchedAt: null,
  phaseHistory: [{ phase: 'decoder-only', fromStep: 0 }],
  lineage: 1,
  generation: 1,
  examples: 24,
  job: { name: 'scenes', optimizer: { name: 'sgd' } },
  jobSha256: hash,
  datasetDigest: hash,
  vocabularySha256: hash,
  canaries: { loss: hash },
  metrics: { bleu4: null },
  savedAt: '2026-01-01T08:00:00.000Z',
  parameters: { count: 1, bytes: 4, sha256: hash },
  optimizer: { bytes: 0, sha256: hash },
  files: { 'parameters.safetensors': { bytes: 4, sha256: hash } },
};

const manifest: FuzzTarget = {
  name: 'checkpoint-manifest',
  what: 'manifest.json of a checkpoint',
  seeds: () => ({ checkpoint: Buffer.from(encodeManifest(content)), object: Buffer.from('{"manifestSha256":""}') }),
  run: (input) => {
    const text = input.toString();
    try {
      parseManifest(sealManifest(text), 'checkpoints/00000003');
    } finally {
      parseManifest(text, 'checkpoints/00000003');
    }
  },
};

const state: FuzzTarget = {
  name: 'checkpoint-state',
  what: 'the text file "checkpoint" of TensorFlow',
  seeds: () => ({
    two: Buffer.from(
      'model_checkpoint_path: "model.ckpt-9"\nall_model_checkpoint_paths: "model.ckpt-4"\nall_model_checkpoint_paths: "model.ckpt-9"\n',
    ),
    escaped: Buffer.from('\n model_checkpoint_path : "gr\\303\\266\\"\\\\/a"'),
  }),
  run: (input) => {
    newestCheckpoint(input.toString());
    weightsFiles(scratchFile('checkpoint', input));
  },
};

const weight = (name: string, shape: number[]): object => ({ name, shape, dtype: 'float32' });
const layer = (name: string, kind: string, config: object, inputs: readonly string[]): object => ({
  name,
  class_name: kind,
  config: { name, ...config },
  inbound_nodes: inputs.length === 0 ? [] : [inputs.map((input) => [input, 0, 0, {}])],
});
const kerasModel = {
  format: 'layers-model',
  modelTopology: {
    model_config: {
      class_name: 'Functional',
      config: {
        layers: [
          layer('input', 'InputLayer', {}, []),
          layer('conv', 'Conv2D', { filters: 32, kernel_size: [3, 3], strides: [2, 2], padding: 'valid' }, ['input']),
          layer('norm', 'BatchNormalization', { scale: false, epsilon: 0.001 }, ['conv']),
          layer('join', 'Concatenate', {}, ['norm', 'conv']),
        ],
      },
    },
  },
  weightsManifest: [{ paths: ['weights.bin'], weights: [weight('conv/kernel', [2, 3]), weight('norm/beta', [2])] }],
};

const layersModel: FuzzTarget = {
  name: 'tfjs-model',
  what: 'model.json of a Keras layers model and its weights',
  seeds: () => ({ small: Buffer.from(JSON.stringify(kerasModel)), object: Buffer.from('{"modelTopology":{}}') }),
  run: (input) => {
    scratchFile('weights.bin', Buffer.alloc(32));
    readAll(openLayersModel(scratchFile('model.json', input), 'inception_v3', 1));
  },
};

export const checkpointTargets = [safetensors, manifest, state, layersModel];

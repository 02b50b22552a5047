import type { LayersModel as TfjsModel, Tensor } from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { mapVariables, problemsOf } from '@showtell/coordinator/checkpoints/import/mapping.js';
import { openLayersModel } from '@showtell/coordinator/checkpoints/tfjs/layers-model.js';
import { featuresOf, parametersOf } from '@showtell/shared/model/parameters.js';
import { random } from '@showtell/shared/random.js';
import { allocateSegments, layOut, tensorView } from '@showtell/shared/tensors/layout.js';
import { tensorflowEngine } from '@showtell/worker/engine/tensorflow/engine.js';
import { nsfwModel, writeModel } from '../../support/nsfw-model.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { haveTensorflow, tensorflow } from '../../support/tensorflow.js';

const side = 299;

it.skipIf(!haveTensorflow)(
  'features of Keras’ Inception V3, read by tfjs and read here, agree to 1e-4 (skipped without the engine)',
  { timeout: 600_000 },
  async () => {
    const stored = await nsfwModel();
    const file = writeModel(temporaryFolder(), stored);
    const images = new Float32Array(2 * side * side * 3);
    random(3, 'images').fillUniform(images, -1, 1);

    // tfjs's own loader and layers, up to the average over positions.
    const { tf } = tensorflow();
    const [group] = stored.json.weightsManifest;
    const whole: TfjsModel = await tf.loadLayersModel(
      tf.io.fromMemory({
        modelTopology: stored.json.modelTopology,
        weightSpecs: group?.weights ?? [],
        weightData: new Uint8Array(Buffer.concat(stored.shards)).buffer,
      }),
    );
    const pooled = tf.model({ inputs: whole.inputs, outputs: whole.getLayer('average_pooling2d_10').output });
    const theirs = tf.tidy(() =>
      (pooled.predict(tf.tensor4d(images, [2, side, side, 3])) as Tensor).dataSync<'float32'>(),
    );

    // Ours: the variables under slim's names, in the compiled encoder.
    const source = openLayersModel(file, 'inception_v3', 1);
    const model = {
      encoder: { name: 'inception_v3' as const, depthMultiplier: 1, imageSize: side, batchNormEpsilon: 0.001 },
      decoder: { embedding: 4, units: 4, vocabulary: 4 },
    };
    expect(source.batchNormEpsilon).toBe(0.001);
    const specs = parametersOf({ ...model, decoder: { ...model.decoder, initScale: 0 } });
    const layout = layOut(specs);
    const parameters = allocateSegments(layout);
    const encoder = specs.filter(({ group }) => group === 'encoder' || group === 'statistics');
    const mapping = mapVariables(source, encoder);
    expect(problemsOf(mapping)).toEqual([]);
    for (const { name, stored: variable } of mapping.matched) variable.read(tensorView(parameters, layout.entry(name)));
    expect(mapping.leftOver.map(({ stored: { name }, reason }) => [name, reason]).sort()).toEqual(
      ['dense_1', 'dense_2', 'dense_3']
        .flatMap((name) => [`${name}/bias`, `${name}/kernel`])
        .map((name) => [name, 'classifier head']),
    );
    const options = { precision: 'float32', threads: 1, device: 'cpu', featureBatch: 2, decodeBatch: 2 } as const;
    const engine = tensorflowEngine(tensorflow(), { model, ...options });
    await engine.setParameters(parameters, { decoder: 0, embedding: 0, encoder: 0, statistics: 0 });
    const ours = await engine.features(images, 2);
    await engine.close();

    expect(ours.length).toBe(2 * featuresOf(model.encoder));
    expect(theirs.length).toBe(ours.length);
    const greatest = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(greatest).toBeGreaterThan(0.5);
    const furthest = ours.reduce((most, value, i) => Math.max(most, Math.abs(value - (theirs[i] ?? NaN))), 0);
    expect(furthest).toBeLessThan(1e-4);
  },
);

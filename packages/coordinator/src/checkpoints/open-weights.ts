import type { EncoderName } from '@showtell/shared/model/parameters.js';
import { weightsFiles } from '@showtell/shared/tensors/weights-files.js';
import { safetensorsSource } from './safetensors-source.js';
import type { VariableSource } from './variable-source.js';
import { openBundle } from './tensorflow/bundle.js';
import { openV1 } from './tensorflow/v1.js';
import { openLayersModel } from './tfjs/layers-model.js';

/** Which encoder a file is opened for: a Keras model's layers have no names to know it by. */
interface WantedEncoder {
  readonly name: EncoderName;
  readonly depthMultiplier: number;
}

/** The only net of Keras' that im2txt's encoders have. */
const kerasOwn: WantedEncoder = { name: 'inception_v3', depthMultiplier: 1 };

/**
 * Opens weights in whatever format they are: TensorFlow's V2 or V1 checkpoint, safetensors, a Keras model of tfjs.
 * @throws ShowtellError `file/missing`, `checkpoint/foreign`, `tensorflow/malformed`, `tensors/malformed`,
 * `tfjs/malformed`, `tfjs/other-net`
 */
export function openWeights(path: string, encoder: WantedEncoder = kerasOwn): VariableSource {
  const found = weightsFiles(path);
  switch (found.format) {
    case 'tensorflow-v2':
      return openBundle(found.prefix, path);
    case 'tensorflow-v1':
      return openV1(found.files, path);
    case 'safetensors':
      return safetensorsSource(found.files[0], path);
    case 'tfjs-layers':
      return openLayersModel(found.files[0], encoder.name, encoder.depthMultiplier);
  }
}

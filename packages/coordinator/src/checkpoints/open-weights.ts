import { weightsFiles } from '@showtell/shared/tensors/weights-files.js';
import { safetensorsSource } from './safetensors-source.js';
import type { VariableSource } from './variable-source.js';
import { openBundle } from './tensorflow/bundle.js';
import { openV1 } from './tensorflow/v1.js';

/**
 * Opens weights in whatever format they are: TensorFlow's V2 or V1 checkpoint, safetensors.
 * @throws ShowtellError `file/missing`, `checkpoint/foreign`, `tensorflow/malformed`, `tensors/malformed`
 */
export function openWeights(path: string): VariableSource {
  const found = weightsFiles(path);
  switch (found.format) {
    case 'tensorflow-v2':
      return openBundle(found.prefix, path);
    case 'tensorflow-v1':
      return openV1(found.files, path);
    case 'safetensors':
      return safetensorsSource(found.files[0], path);
  }
}

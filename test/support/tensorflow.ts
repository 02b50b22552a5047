import { existsSync } from 'node:fs';
import { loadTensorflow, type Tensorflow } from '@showtell/worker/engine/tensorflow/addon.js';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';

/** Whether `showtell engine setup` has run on this machine. */
export const haveTensorflow = existsSync(engineFolder('cpu').addon);

let loaded: Tensorflow | undefined;

/** TensorFlow on one thread, loaded once a test file. */
export function tensorflow(): Tensorflow {
  loaded ??= loadTensorflow({ threads: 1 });
  return loaded;
}

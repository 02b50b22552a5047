/**
 * Tries an addon just built: `node smoke-test.js ADDON cpu|gpu`. Ends with 0, or throws an Error that says
 * what is wrong.
 */
import { openAddon } from './addon.js';

const [addon = '', device = 'cpu'] = process.argv.slice(2);

const { tf, backend } = openAddon(addon);
if (device === 'gpu' && !backend.isUsingGpuDevice) throw new Error('no GPU is visible to TensorFlow');

const image = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]);
const kernel = tf.tensor4d([1, 0, 0, -1], [2, 2, 1, 1]);
const expected = [-4, -4, -4, -4];
const convolved = [...tf.conv2d(image, kernel, 1, 'valid').dataSync()];
if (convolved.join() !== expected.join()) throw new Error(`a convolution gave ${convolved.join()}`);
const gradient = [
  ...tf
    .grad((x) => tf.sum(tf.square(x)))(tf.tensor1d([1, 2]))
    .dataSync(),
];
if (gradient.join() !== '2,4') throw new Error(`a gradient gave ${gradient.join()}`);

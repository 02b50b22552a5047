import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { random } from '@showtell/shared/random.js';
import { openWasmEngine } from '@showtell/worker/engine/wasm/engine.js';
import { difference } from '../support/eager-step.js';
import { smallOptions } from '../support/small-model.js';

type Pad = 'same' | 'valid';
type Shape = readonly number[];

/** Windows, strides and sizes as the encoders have them, and those where padding is uneven or pixels are left over. */
const windows: [kernel: [number, number], stride: number, pad: Pad, size: [number, number]][] = [
  [[1, 1], 1, 'same', [7, 9]],
  [[1, 1], 2, 'same', [8, 9]],
  [[3, 3], 1, 'same', [1, 1]],
  [[3, 3], 1, 'same', [7, 9]],
  [[3, 3], 1, 'valid', [4, 4]],
  [[3, 3], 2, 'same', [8, 9]],
  [[3, 3], 2, 'same', [2, 2]],
  [[3, 3], 2, 'valid', [8, 9]],
  [[3, 3], 2, 'valid', [9, 10]],
  [[5, 5], 1, 'same', [7, 7]],
  [[7, 7], 2, 'same', [13, 16]],
  [[1, 7], 1, 'same', [9, 9]],
  [[7, 1], 1, 'same', [9, 9]],
  [[3, 1], 1, 'same', [2, 2]],
];
const [B, I, O, M] = [4, 5, 6, 2];

function drawn(seed: number, shape: Shape): tf.Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  return tf.tensor(random(seed, 'kernels').fillUniform(new Float32Array(size), -1, 1), [...shape]);
}

/** Gradients of Σ f(x…) · c, c drawn, by the backend of that name. */
async function gradients(
  backend: string,
  shapes: readonly Shape[],
  f: (...x: tf.Tensor[]) => tf.Tensor,
): Promise<Float32Array[]> {
  await tf.setBackend(backend);
  const inputs = shapes.map((shape, i) => drawn(i, shape));
  const weighted = (...x: tf.Tensor[]): tf.Scalar => {
    const y = f(...x);
    return tf.sum(tf.mul(y, drawn(9, y.shape)));
  };
  return Promise.all(
    tf
      .grads(weighted)(inputs)
      .map((gradient) => gradient.data<'float32'>()),
  );
}

describe('kernels that the wasm backend is given', () => {
  beforeAll(async () => {
    await openWasmEngine(smallOptions);
  });

  const agrees = async (shapes: readonly Shape[], f: (...x: tf.Tensor[]) => tf.Tensor): Promise<void> => {
    const wanted = await gradients('cpu', shapes, f);
    const got = await gradients('wasm', shapes, f);
    for (const [i, values] of wanted.entries()) expect(difference(got[i]!, values)).toBeLessThan(2e-6);
  };

  it.each(windows)('convolutions: %j, stride %i, %s, on %j', async ([kh, kw], stride, pad, [H, W]) => {
    await agrees(
      [
        [B, H, W, I],
        [kh, kw, I, O],
      ],
      (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, stride, pad),
    );
  });

  it.each(windows)('depthwise convolutions: %j, stride %i, %s, on %j', async ([kh, kw], stride, pad, [H, W]) => {
    await agrees(
      [
        [B, H, W, I],
        [kh, kw, I, M],
      ],
      (x, w) => tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, stride, pad),
    );
  });

  // Half of the values zero, as after ReLU: a window's first maximum takes the gradient.
  it.each(windows)('max-pools: %j, stride %i, %s, on %j', async (size, stride, pad, [H, W]) => {
    await agrees([[B, H, W, I]], (x) => tf.maxPool(tf.relu(x as tf.Tensor4D), size, stride, pad));
    await agrees([[B, H, W, I]], (x) => tf.maxPool(tf.sub(x as tf.Tensor4D, 2), size, stride, pad));
  });

  // tfjs's own gradient, of either backend, divides by the whole window at the edges.
  it('average pools: by as many pixels as a window has', async () => {
    await tf.setBackend('wasm');
    const x = drawn(1, [1, 4, 3, 1]) as tf.Tensor4D;
    const towards = drawn(2, [1, 4, 3, 1]);
    const got = await tf
      .grad((x) => tf.sum(tf.mul(tf.avgPool(x as tf.Tensor4D, 3, 1, 'same'), towards)))(x)
      .data();
    const dy = await towards.data<'float32'>();
    const wanted = new Float32Array(12);
    for (let row = 0; row < 4; row++)
      for (let column = 0; column < 3; column++) {
        const seen: number[] = [];
        for (let h = row - 1; h <= row + 1; h++)
          for (let w = column - 1; w <= column + 1; w++) if (h >= 0 && h < 4 && w >= 0 && w < 3) seen.push(h * 3 + w);
        for (const place of seen) wanted[place] = wanted[place]! + dy[row * 3 + column]! / seen.length;
      }
    expect(difference(got, wanted)).toBeLessThan(1e-6);
  });

  it.each([
    [[7, 5], [0]],
    [
      [3, 7, 5],
      [0, 1],
    ],
    [
      [4, 3, 3, 5],
      [0, 1, 2],
    ],
    [[7, 5], [1]],
    [
      [7, 5],
      [0, 1],
    ],
  ] as [Shape, number[]][])('sums and means of %j over %j', async (shape, axes) => {
    const values = async (backend: string): Promise<Float32Array[]> => {
      await tf.setBackend(backend);
      const x = drawn(1, shape);
      const all = [tf.sum(x, axes), tf.sum(x, axes, true), tf.mean(x, axes), tf.mean(x, axes, true)];
      return Promise.all(all.map((tensor) => tensor.data<'float32'>()));
    };
    const wanted = await values('cpu');
    for (const [i, got] of (await values('wasm')).entries()) expect(difference(got, wanted[i]!)).toBeLessThan(1e-6);
  });

  it('sums of many rows are as exact as floats can say', async () => {
    await tf.setBackend('wasm');
    const N = 200_000;
    const values = new Float32Array(N * 2).map((_, i) => (i % 4 < 2 ? 1000.1 : -1000.1) + (i % 2 === 0 ? 1e-3 : 0));
    const [left, right] = await tf.sum(tf.tensor2d(values, [N, 2]), 0).data();
    const exact = (column: number): number => values.reduce((sum, value, i) => sum + (i % 2 === column ? value : 0), 0);
    expect([left, right]).toEqual([Math.fround(exact(0)), Math.fround(exact(1))]);
  });

  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])('products, transposed %j and %j', async (left, right) => {
    await agrees([left ? [5, 7] : [7, 5], right ? [6, 5] : [5, 6]], (a, b) => tf.matMul(a, b, left, right));
  });

  it('sums by segment, one of them empty', async () => {
    await tf.setBackend('wasm');
    const sums = tf.unsortedSegmentSum(tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]), tf.tensor1d([2, 0, 2], 'int32'), 4);
    expect([...(await sums.data())]).toEqual([3, 4, 0, 0, 6, 8, 0, 0]);
  });
});

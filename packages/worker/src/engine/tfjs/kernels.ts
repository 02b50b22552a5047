import * as tf from '@tensorflow/tfjs-core';

/** A kernel made of other operations: named inputs and attributes to one tensor. */
export type ComposedKernel = (
  inputs: Readonly<Record<string, tf.Tensor>>,
  attributes: Readonly<Record<string, unknown>>,
) => tf.Tensor;

/**
 * Gives a backend a kernel that it lacks or is slow at, made of operations it is fast at. tfjs's gradients call kernels
 * by name, so they are computed by these from then on. To be called before the backend is set up.
 * @param compose makes the kernel; is given the one that it takes the place of, where there is one
 */
export function composeKernel(
  backendName: string,
  kernelName: string,
  compose: (replaced: ComposedKernel) => ComposedKernel,
): void {
  const known = tf.getKernel(kernelName, backendName) as tf.KernelConfig | undefined;
  const tensor = (made: tf.TensorInfo | tf.TensorInfo[]): tf.Tensor =>
    tf.engine().makeTensorFromTensorInfo(made as tf.TensorInfo);
  let backend: unknown;
  const replaced: ComposedKernel = (inputs, attributes) => {
    if (known === undefined) throw new TypeError(`${backendName} has no kernel ${kernelName} of its own`);
    const own = { inputs: inputs as tf.NamedTensorInfoMap, attrs: attributes as tf.NamedAttrMap, backend };
    return tensor(known.kernelFunc(own as Parameters<tf.KernelFunc>[0]));
  };
  const kernel = compose(replaced);
  if (known !== undefined) tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel({
    ...known,
    kernelName,
    backendName,
    kernelFunc: ({ inputs, attrs, backend: given }) => {
      backend = given;
      const tensors = Object.fromEntries(
        Object.entries(inputs).map(([name, info]) => [name, info as unknown as tf.Tensor]),
      );
      return tf.tidy(() => kernel(tensors, attrs ?? {}));
    },
  });
}

/**
 * Sums of rows by their segment, as a product with a one-hot matrix: [N, E], [N] int32 → [segments, E]. The order of a
 * sum's terms is that of the rows, where backends with atomic additions take them as they come.
 */
export const segmentSum: ComposedKernel = ({ x, segmentIds }, { numSegments }) => {
  const rows = x as tf.Tensor;
  const [N = 0, ...rest] = rows.shape;
  const chosen = tf.oneHot(segmentIds as tf.Tensor1D, numSegments as number); // [N, segments]
  const sums = tf.matMul(tf.transpose(tf.cast(chosen, 'float32')), tf.reshape<tf.Rank.R2>(rows, [N, -1]));
  return tf.reshape(sums, [numSegments as number, ...rest]);
};

/**
 * The gradient of an average pool: each output's, by as many pixels as its window had, to all of them. tfjs's kernels
 * (4.22) divide by the window's size also where it reached over the edge, unlike their own forward pass.
 * @param replaced the backend's own, for pools that reach over no edge
 */
export function averagePoolGradient(replaced: ComposedKernel): ComposedKernel {
  return (inputs, attributes) => {
    const { pad, filterSize, strides } = attributes as {
      pad: 'same' | 'valid';
      filterSize: number | [number, number];
      strides: number | [number, number];
    };
    if (pad === 'valid') return replaced(inputs, attributes);
    const [high, wide] = [filterSize, filterSize].map((size, i) => (typeof size === 'number' ? size : size[i])) as [
      number,
      number,
    ];
    if ([strides].flat().some((stride) => stride !== 1) || high % 2 === 0 || wide % 2 === 0)
      throw new TypeError('gradients of padded average pools are made here for odd windows and stride 1 only');
    const { dy } = inputs as { dy: tf.Tensor4D };
    const [, H, W] = dy.shape;
    const seen = (size: number, window: number): number[] => {
      const reach = (window - 1) / 2;
      return Array.from({ length: size }, (_, i) => Math.min(size - 1, i + reach) - Math.max(0, i - reach) + 1);
    };
    const [rows, columns] = [seen(H, high), seen(W, wide)];
    const counts = tf.tensor4d(
      rows.flatMap((row) => columns.map((column) => row * column)),
      [1, H, W, 1],
    );
    // A window's sum is its mean times its count, and every window that saw a pixel is seen by it.
    const means = tf.avgPool(tf.div<tf.Tensor4D>(dy, counts), [high, wide], 1, 'same');
    return tf.mul(means, counts);
  };
}

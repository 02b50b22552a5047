import * as tf from '@tensorflow/tfjs-core';
import { averagePoolGradient, type ComposedKernel, composeKernel, segmentSum } from '../tfjs/kernels.js';

/**
 * Kernels that tfjs's wasm backend lacks (gradients of convolutions by their filters, of depthwise ones by either, sums
 * by segments), is slow at (transposed products, gradients by a convolution's input, sums over all but the last axis) or
 * gets wrong (gradients of pools): by kernels it has from XNNPACK, convolution and product, or by loops over its
 * memory where those are quick.
 */
export function registerWasmKernels(): void {
  const add = (name: string, kernel: ComposedKernel): void => {
    composeKernel('wasm', name, () => kernel);
  };
  composeKernel('wasm', 'BatchMatMul', untransposed);
  composeKernel('wasm', 'AvgPoolGrad', averagePoolGradient);
  replaceKernel('wasm', 'Sum', (call) => rowSums(call, 1));
  replaceKernel('wasm', 'Mean', (call) => rowSums(call, rowsOf(call.inputs['x'] as tf.TensorInfo)));
  replaceKernel('wasm', 'Identity', shared);
  replaceKernel('wasm', 'MaxPoolGrad', maxPoolGradient);
  replaceKernel('wasm', 'Reverse', reversedFilter);
  add('UnsortedSegmentSum', segmentSum);
  add('Conv2DBackpropFilter', ({ x, dy }, attributes) =>
    filterGradient(x as tf.Tensor4D, dy as tf.Tensor4D, windowOf(attributes, 'filterShape')),
  );
  add('Conv2DBackpropInput', ({ dy, filter }, attributes) =>
    inputGradient(dy as tf.Tensor4D, filter as tf.Tensor4D, {
      ...windowOf(attributes, 'inputShape'),
      inputShape: attributes['inputShape'] as Shape4D,
    }),
  );
  add('DepthwiseConv2dNativeBackpropFilter', ({ x, dy }, attributes) =>
    depthwiseFilterGradient(x as tf.Tensor4D, dy as tf.Tensor4D, windowOf(attributes, 'filterShape')),
  );
  add('DepthwiseConv2dNativeBackpropInput', ({ dy, filter }, attributes) =>
    inputGradient(dy as tf.Tensor4D, denseFilter(filter as tf.Tensor4D), {
      ...windowOf(attributes, 'inputShape'),
      inputShape: attributes['inputShape'] as Shape4D,
    }),
  );
}

type Shape4D = [number, number, number, number];

/** How a convolution looks at its input. */
interface Window {
  readonly strides: readonly [number, number];
  readonly pad: 'same' | 'valid';
  /** Of the filter, or of the input: what the gradient's shape is. */
  readonly shape: Shape4D;
}

function windowOf(attributes: Readonly<Record<string, unknown>>, shapeName: 'filterShape' | 'inputShape'): Window {
  const { strides, pad, dilations, dataFormat } = attributes as {
    strides: number | [number, number];
    pad: 'same' | 'valid';
    dilations?: number | [number, number];
    dataFormat?: string;
  };
  if ([dilations ?? 1].flat().some((dilation) => dilation !== 1) || (dataFormat ?? 'NHWC') !== 'NHWC')
    throw new TypeError('gradients of dilated convolutions are not made here');
  const pair = typeof strides === 'number' ? ([strides, strides] as const) : strides;
  return { strides: pair, pad, shape: attributes[shapeName] as Shape4D };
}

/** A kernel's arguments, and what is used of the backend to compute on its memory. */
interface DirectCall {
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly backend: {
    incRef(dataId: tf.DataId): void;
    makeOutput(shape: readonly number[], dtype: 'float32'): tf.TensorInfo;
    typedArrayFromHeap(tensor: tf.TensorInfo): Float32Array;
  };
}

/** The same values again, which the tape asks for at every operation: tfjs's own kernel copies them. */
function shared({ inputs, backend }: DirectCall): tf.TensorInfo {
  const { dataId, shape, dtype } = inputs['x'] as tf.TensorInfo;
  backend.incRef(dataId);
  return { dataId, shape, dtype };
}

/**
 * The gradient of a max-pool goes to a window's first maximum, as TensorFlow's does. tfjs's own kernel (4.22) gives it to
 * a later one, and to none where nothing in a window is above zero.
 */
function maxPoolGradient({ inputs, attrs, backend }: DirectCall): tf.TensorInfo {
  const { input, dy } = inputs as { input: tf.TensorInfo; dy: tf.TensorInfo };
  const { filterSize, strides, pad, dimRoundingMode } = attrs as {
    filterSize: number | [number, number];
    strides: number | [number, number];
    pad: 'same' | 'valid';
    dimRoundingMode?: 'floor';
  };
  const shape = input.shape as Shape4D;
  const window = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  const dx = backend.makeOutput(shape, 'float32');
  // Making the output may have moved the memory, so that views are taken after it.
  const [into, x, gradient] = [dx, input, dy].map((tensor) => backend.typedArrayFromHeap(tensor)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  into.fill(0);
  const [B, H, W, C] = shape;
  const { outHeight, outWidth, strideHeight, strideWidth, filterHeight, filterWidth, padInfo } = window;
  for (let b = 0, from = 0; b < B; b++)
    for (let row = 0; row < outHeight; row++) {
      const top = Math.max(0, row * strideHeight - padInfo.top);
      const bottom = Math.min(H, row * strideHeight - padInfo.top + filterHeight);
      for (let column = 0; column < outWidth; column++) {
        const left = Math.max(0, column * strideWidth - padInfo.left);
        const right = Math.min(W, column * strideWidth - padInfo.left + filterWidth);
        for (let c = 0; c < C; c++, from++) {
          let largest = -Infinity;
          let place = -1;
          for (let h = top; h < bottom; h++)
            for (let at = ((b * H + h) * W + left) * C + c, end = ((b * H + h) * W + right) * C; at < end; at += C)
              if ((x[at] as number) > largest) {
                largest = x[at] as number;
                place = at;
              }
          if (place >= 0) into[place] = (into[place] as number) + (gradient[from] as number);
        }
      }
    }
  return dx;
}

/** A filter's places in backward order, [kh, kw, I, O], each copied whole; null when other axes are to be reversed. */
function reversedFilter({ inputs, attrs, backend }: DirectCall): tf.TensorInfo | null {
  const { x } = inputs as { x: tf.TensorInfo };
  const { dims } = attrs as { dims: number | number[] };
  const axes = tf.util.parseAxisParam(dims, x.shape);
  if (x.dtype !== 'float32' || x.shape.length !== 4 || axes.length !== 2 || !axes.includes(0) || !axes.includes(1))
    return null;
  const [kh, kw, I, O] = x.shape as Shape4D;
  const reversed = backend.makeOutput(x.shape, 'float32');
  const [into, from] = [backend.typedArrayFromHeap(reversed), backend.typedArrayFromHeap(x)];
  const place = I * O;
  for (let i = 0; i < kh * kw; i++) into.set(from.subarray(i * place, (i + 1) * place), (kh * kw - 1 - i) * place);
  return reversed;
}

/** @param kernel gives null for what it leaves to the kernel in whose place it is */
function replaceKernel(
  backendName: string,
  kernelName: string,
  kernel: (call: DirectCall) => tf.TensorInfo | null,
): void {
  const known = tf.getKernel(kernelName, backendName);
  const kernelFunc = (call: Parameters<tf.KernelFunc>[0]): tf.TensorInfo | tf.TensorInfo[] =>
    kernel(call as unknown as DirectCall) ?? known.kernelFunc(call);
  tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel({ ...known, kernelName, backendName, kernelFunc });
}

/** Products with transposed operands go through a loop there; transposing first is ten times as fast. */
function untransposed(product: ComposedKernel): ComposedKernel {
  return ({ a, b }, { transposeA, transposeB }) => {
    const upright = (x: tf.Tensor | undefined, transposed: unknown): tf.Tensor => {
      const matrix = x as tf.Tensor;
      if (transposed !== true) return matrix;
      const { rank } = matrix;
      const axes = Array.from({ length: rank }, (_, i) => i);
      return tf.transpose(matrix, [...axes.slice(0, -2), rank - 1, rank - 2]);
    };
    return product({ a: upright(a, transposeA), b: upright(b, transposeB) }, { transposeA: false, transposeB: false });
  };
}

function rowsOf({ shape }: tf.TensorInfo): number {
  return shape.slice(0, -1).reduce((product, n) => product * n, 1);
}

/**
 * Sums over all axes but the last, divided, or null when others are asked for. The sums are kept in double precision:
 * those behind the gradients of batch norm cancel, and one float after the other would leave a tenth of them.
 */
function rowSums({ inputs, attrs, backend }: DirectCall, divisor: number): tf.TensorInfo | null {
  const { x } = inputs as { x: tf.TensorInfo };
  const { axis, keepDims } = attrs as { axis: number | number[]; keepDims?: boolean };
  const axes = tf.util.parseAxisParam(axis, x.shape);
  const rank = x.shape.length;
  if (x.dtype !== 'float32' || rank < 2 || axes.length !== rank - 1 || axes.includes(rank - 1)) return null;
  const C = x.shape[rank - 1] as number;
  const out = backend.makeOutput(keepDims === true ? [...x.shape.slice(0, -1).map(() => 1), C] : [C], 'float32');
  const values = backend.typedArrayFromHeap(x);
  const sums = new Float64Array(C);
  for (let at = 0; at < values.length;)
    for (let c = 0; c < C; c++, at++) sums[c] = (sums[c] as number) + (values[at] as number);
  backend.typedArrayFromHeap(out).set(divisor === 1 ? sums : sums.map((sum) => sum / divisor));
  return out;
}

/**
 * The gradient by a convolution's filter is a convolution too: of the input, its channels as a batch and its batch as
 * channels, by the output's gradient as a filter, as far apart as the stride was wide.
 * @param x [B, H, W, I]
 * @param dy [B, Ho, Wo, O]
 * @returns [kh, kw, I, O]
 */
function filterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, { strides, pad, shape }: Window): tf.Tensor4D {
  const [kh, kw, I, O] = shape;
  const [, H, W] = x.shape;
  const [, Ho, Wo] = dy.shape;
  if (kh === 1 && kw === 1) {
    const seen = strides[0] === 1 && strides[1] === 1 ? x : strided(x, strides, Ho, Wo);
    const columns = tf.transpose(tf.reshape<tf.Rank.R2>(seen, [-1, I])); // [I, N]
    return tf.reshape(tf.matMul(columns, tf.reshape<tf.Rank.R2>(dy, [-1, O])), [1, 1, I, O]);
  }
  const rows = margins(H, kh, strides[0], pad, Ho);
  const columns = margins(W, kw, strides[1], pad, Wo);
  const crossed = tf.transpose(framed(x, rows, columns), [3, 1, 2, 0]); // [I, H', W', B]
  const filter = tf.transpose(dy, [1, 2, 0, 3]); // [Ho, Wo, B, O]
  const gradient = tf.conv2d(crossed, filter, 1, 'valid', 'NHWC', strides as [number, number]); // [I, kh, kw, O]
  return tf.transpose(gradient, [1, 2, 0, 3]);
}

/**
 * The gradient by a convolution's input: the output's gradient, spread by the stride, convolved with the filter turned
 * by half, inputs and outputs exchanged.
 * @param dy [B, Ho, Wo, O]
 * @param filter [kh, kw, I, O]
 * @returns [B, H, W, I]
 */
function inputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  { strides, pad, inputShape }: Window & { readonly inputShape: Shape4D },
): tf.Tensor4D {
  const [, H, W, I] = inputShape;
  const [B, Ho, Wo, O] = dy.shape;
  const [kh, kw] = filter.shape;
  if (kh === 1 && kw === 1 && strides[0] === 1 && strides[1] === 1) {
    const turned = tf.transpose(tf.reshape<tf.Rank.R2>(filter, [I, O])); // [O, I]
    return tf.reshape(tf.matMul(tf.reshape<tf.Rank.R2>(dy, [-1, O]), turned), [B, H, W, I]);
  }
  const spreadOut = spread(dy, strides);
  const frame = (size: number, k: number, stride: number, out: number): [number, number] => {
    const { before } = margins(size, k, stride, pad, out);
    const head = k - 1 - before;
    return [head, size + k - 1 - head - ((out - 1) * stride + 1)];
  };
  const [top, bottom] = frame(H, kh, strides[0], Ho);
  const [left, right] = frame(W, kw, strides[1], Wo);
  const framedOut = framed(spreadOut, { before: top, after: bottom }, { before: left, after: right });
  const turned = tf.transpose<tf.Tensor4D>(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]); // [kh, kw, O, I]
  return tf.conv2d(framedOut, turned, 1, 'valid');
}

/**
 * The gradient by a depthwise filter, offset by offset: of each channel, the sum of products over all places.
 * @param x [B, H, W, I]
 * @param dy [B, Ho, Wo, I · M]
 * @returns [kh, kw, I, M]
 */
function depthwiseFilterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, { strides, pad, shape }: Window): tf.Tensor4D {
  const [kh, kw, I, M] = shape;
  const [B, H, W] = x.shape;
  const [, Ho, Wo] = dy.shape;
  const padded = framed(x, margins(H, kh, strides[0], pad, Ho), margins(W, kw, strides[1], pad, Wo));
  const gradient = tf.reshape(dy, [B * Ho * Wo, I, M]);
  const sums: tf.Tensor[] = [];
  for (let row = 0; row < kh; row++)
    for (let column = 0; column < kw; column++) {
      const from = [0, row, column, 0] as Shape4D;
      const size = [B, padded.shape[1] - row, padded.shape[2] - column, I] as Shape4D;
      const seen = tf.reshape(strided(tf.slice(padded, from, size), strides, Ho, Wo), [B * Ho * Wo, I, 1]);
      const products = tf.reshape(tf.mul(seen, gradient), [B * Ho * Wo, I * M]);
      sums.push(tf.reshape(tf.sum(products, 0), [I, M]));
    }
  return tf.reshape(tf.stack(sums), [kh, kw, I, M]);
}

/** A depthwise filter as a dense one, zero between channels: [kh, kw, I, M] → [kh, kw, I, I · M]. */
function denseFilter(filter: tf.Tensor4D): tf.Tensor4D {
  const [kh, kw, I, M] = filter.shape;
  const own = tf.reshape(tf.cast(tf.oneHot(tf.range(0, I, 1, 'int32'), I), 'float32'), [1, 1, I, I, 1]);
  return tf.reshape(tf.mul(tf.reshape(filter, [kh, kw, I, 1, M]), own), [kh, kw, I, I * M]);
}

interface Margins {
  readonly before: number;
  /** Negative where the last pixels are seen by no output. */
  readonly after: number;
}

/** What padding adds around an input so that its outputs are all that fit. */
function margins(size: number, k: number, stride: number, pad: 'same' | 'valid', out: number): Margins {
  const needed = (out - 1) * stride + k - size;
  const before = pad === 'valid' ? 0 : Math.floor(Math.max(needed, 0) / 2);
  return { before, after: needed - before };
}

/** Zeros around a picture, or rows and columns taken away where a margin is negative. */
function framed(x: tf.Tensor4D, rows: Margins, columns: Margins): tf.Tensor4D {
  const grow = (margin: number): number => Math.max(margin, 0);
  const cut = (margin: number): number => Math.max(-margin, 0);
  const [B, H, W, C] = x.shape;
  const isCut = [rows.before, rows.after, columns.before, columns.after].some((margin) => margin < 0);
  const kept = isCut
    ? tf.slice(
        x,
        [0, cut(rows.before), cut(columns.before), 0],
        [B, H - cut(rows.before) - cut(rows.after), W - cut(columns.before) - cut(columns.after), C],
      )
    : x;
  const around: [number, number][] = [
    [0, 0],
    [grow(rows.before), grow(rows.after)],
    [grow(columns.before), grow(columns.after)],
    [0, 0],
  ];
  return around.every(([before, after]) => before === 0 && after === 0) ? kept : tf.pad(kept, around);
}

/** Every stride-th row and column, `high` and `wide` of them. */
function strided(x: tf.Tensor4D, strides: readonly [number, number], high: number, wide: number): tf.Tensor4D {
  const [B, , , C] = x.shape;
  const [down, across] = strides;
  if (down === 1 && across === 1) return tf.slice(x, [0, 0, 0, 0], [B, high, wide, C]);
  const ends = [B, (high - 1) * down + 1, (wide - 1) * across + 1, C];
  const seen: tf.Tensor = tf.stridedSlice(x, [0, 0, 0, 0], ends, [1, down, across, 1]);
  return seen as tf.Tensor4D;
}

/** Zeros between rows and columns, stride − 1 of them. */
function spread(dy: tf.Tensor4D, [down, across]: readonly [number, number]): tf.Tensor4D {
  if (down === 1 && across === 1) return dy;
  const [B, H, W, C] = dy.shape;
  const apart = tf.pad(tf.reshape(dy, [B * H, 1, W, 1, C]), [
    [0, 0],
    [0, down - 1],
    [0, 0],
    [0, across - 1],
    [0, 0],
  ]);
  const wide = tf.reshape<tf.Rank.R4>(apart, [B, H * down, W * across, C]);
  return tf.slice(wide, [0, 0, 0, 0], [B, (H - 1) * down + 1, (W - 1) * across + 1, C]);
}

import * as tf from '@tensorflow/tfjs-core';
import type { Ops } from '../../model/ops.js';
import { tfjsPadding } from '../../model/ops.js';

/** TensorFlow's numbers for its types. */
const FLOAT = 1;
const INT32 = 3;

interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | string | boolean;
}

/** What tfjs-node's backend offers of TensorFlow itself. */
export interface TensorflowKernels {
  readonly binding: Readonly<Record<`TF_ATTR_${'TYPE' | 'FLOAT' | 'STRING' | 'BOOL'}`, number>>;
  executeSingleOutput(op: string, attributes: Attribute[], inputs: tf.Tensor[]): tf.Tensor;
  executeMultipleOutputs(op: string, attributes: Attribute[], inputs: tf.Tensor[], outputs: number): tf.Tensor[];
}

/**
 * The model's operations by TensorFlow's fused kernels, with their gradients: several times faster than tfjs's own, which
 * are made of elementwise ones.
 */
export function fusedOps(backend: TensorflowKernels): Ops {
  const kernels = tensorflowKernels(backend);
  const { run, runAll, attributes } = kernels;
  const { type, float, text, flag } = attributes;
  const T = type('T', FLOAT);

  /** x·W with either side transposed. */
  const matMul = (a: tf.Tensor, b: tf.Tensor, transposeA = false, transposeB = false): tf.Tensor2D =>
    run('MatMul', [T, flag('transpose_a', transposeA), flag('transpose_b', transposeB)], [a, b]) as tf.Tensor2D;
  const nhwc = text('data_format', 'NHWC');
  const biasAdd = (x: tf.Tensor, bias: tf.Tensor) => run('BiasAdd', [T, nhwc], [x, bias]);
  const biasGradient = (dy: tf.Tensor) => run('BiasAddGrad', [T, nhwc], [dy]);

  const normRelu = (z: tf.Tensor4D, beta: tf.Tensor1D, epsilon: number) => {
    const gamma = tf.ones(beta.shape);
    const none = tf.tensor1d([]);
    const norm = [T, type('U', FLOAT), float('epsilon', epsilon), nhwc, flag('is_training', true)];
    let moments: readonly tf.Tensor[] = [];
    const y = differentiable(
      [z, beta],
      () => {
        const [normalized, mean, variance, ...reserved] = runAll(
          'FusedBatchNormV3',
          norm,
          [z, gamma, beta, none, none],
          6,
        ) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        moments = [tf.keep(mean), tf.keep(variance)];
        const activated = run('Relu', [T], [normalized]);
        return [activated, [z, activated, gamma, ...reserved]];
      },
      (dy, [x, activated, ones, ...reserved]) => {
        const dz = run('ReluGrad', [T], [dy, activated as tf.Tensor]);
        const inputs = [dz, x as tf.Tensor, ones as tf.Tensor, ...reserved];
        const [dx, , dbeta] = runAll('FusedBatchNormGradV3', norm, inputs, 5) as [tf.Tensor, tf.Tensor, tf.Tensor];
        return [dx, dbeta];
      },
    ) as tf.Tensor4D;
    const [mean, variance] = moments as [tf.Tensor1D, tf.Tensor1D];
    return { y, mean, variance };
  };

  const relu = (x: tf.Tensor) =>
    differentiable(
      [x],
      () => {
        const y = run('Relu', [T], [x]);
        return [y, [y]];
      },
      (dy, [y]) => [run('ReluGrad', [T], [dy, y as tf.Tensor])],
    );

  return {
    convNormRelu(x, weights, beta, { stride, padding, epsilon }) {
      return normRelu(tf.conv2d(x, weights, stride, tfjsPadding(padding)), beta, epsilon);
    },

    convBias(x, weights, biases, { stride, padding, relu: activate }) {
      const z = tf.conv2d(x, weights, stride, tfjsPadding(padding));
      const biased = differentiable(
        [z, biases],
        () => [biasAdd(z, biases), []],
        (dy) => [dy, biasGradient(dy)],
      ) as tf.Tensor4D;
      return (activate ? relu(biased) : biased) as tf.Tensor4D;
    },

    product(x, weights, biases) {
      const backward = (dy: tf.Tensor, [a, w]: tf.Tensor[]) => [
        matMul(dy, w as tf.Tensor, false, true),
        matMul(a as tf.Tensor, dy, true, false),
      ];
      if (biases === undefined)
        return differentiable([x, weights], () => [matMul(x, weights), [x, weights]], backward) as tf.Tensor2D;
      return differentiable(
        [x, weights, biases],
        () => [biasAdd(matMul(x, weights), biases), [x, weights]],
        (dy, saved) => [...backward(dy, saved), biasGradient(dy)],
      ) as tf.Tensor2D;
    },

    lookup(table, rows) {
      return differentiable(
        [table],
        () => [tf.gather(table, rows), [rows]],
        (dy, [saved]) => [tf.unsortedSegmentSum(dy, saved as tf.Tensor1D, table.shape[0])],
      ) as tf.Tensor2D;
    },

    lstm: (x, kernel, bias) => fusedLstm(kernels, matMul, x, kernel, bias),

    crossEntropy(logits, labels) {
      const types = [T, type('Tlabels', INT32)];
      return differentiable(
        [logits],
        () => {
          const [losses, backprop] = runAll('SparseSoftmaxCrossEntropyWithLogits', types, [logits, labels], 2);
          return [losses as tf.Tensor, [backprop as tf.Tensor]];
        },
        (dy, [backprop]) => [tf.mul(backprop as tf.Tensor, tf.expandDims(dy, 1))],
      ) as tf.Tensor1D;
    },
  };
}

type Kernels = ReturnType<typeof tensorflowKernels>;

/**
 * The whole sequence as one differentiable operation. The inputs' part of every step's product is one MatMul before the
 * loop, and the kernel's gradient one MatMul after it: a step in between touches only the [U, 4·U] rows of h, once
 * forward and once backward. Within a step the backward elementwise part is one kernel, LSTMBlockCellGrad, whose gates
 * are ordered as im2txt's.
 */
function fusedLstm(
  { run, runAll, attributes }: Kernels,
  matMul: (a: tf.Tensor, b: tf.Tensor, transposeA?: boolean, transposeB?: boolean) => tf.Tensor2D,
  x: tf.Tensor3D,
  kernel: tf.Tensor2D,
  bias: tf.Tensor1D,
): tf.Tensor3D {
  const { type, flag, text } = attributes;
  const float = type('T', FLOAT);
  const [T, B, E] = x.shape;
  const U = bias.size / 4;
  const unary = (op: string, a: tf.Tensor) => run(op, [float], [a]);
  const rows = (from: number, count: number) => tf.slice(kernel, [from, 0], [count, 4 * U]);

  const forward = (): readonly [tf.Tensor, tf.Tensor[]] => {
    const flat = tf.reshape(x, [T * B, E]);
    const forget = tf.tensor1d(Float32Array.from({ length: 4 * U }, (_, i) => (i >= 2 * U && i < 3 * U ? 1 : 0)));
    const projected = run(
      'BiasAdd',
      [float, text('data_format', 'NHWC')],
      [matMul(flat, rows(0, E)), tf.add(bias, forget)],
    ); // [T·B, 4·U]
    const recurrent = rows(E, U); // [U, 4·U]
    const inputs = tf.split(projected, T, 0);
    const saved: tf.Tensor[] = [];
    const hs: tf.Tensor[] = [];
    let c: tf.Tensor | undefined;
    let h: tf.Tensor | undefined;
    for (const z of inputs) {
      const gates = h === undefined ? z : tf.add(z, matMul(h, recurrent)); // [B, 4·U]
      const [gi, gj, gf, go] = tf.split(gates, 4, 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const [i, j, f, o] = [unary('Sigmoid', gi), unary('Tanh', gj), unary('Sigmoid', gf), unary('Sigmoid', go)];
      const written: tf.Tensor = tf.mul(i, j);
      c = c === undefined ? written : tf.add(tf.mul(c, f), written); // [B, U]
      const squashed = unary('Tanh', c);
      h = tf.mul(squashed, o);
      hs.push(h);
      saved.push(i, c, f, o, j, squashed);
    }
    return [tf.stack(hs), [flat, kernel, ...hs, ...saved]];
  };

  const backward = (dy: tf.Tensor, [flat, weights, ...kept]: tf.Tensor[]): tf.Tensor[] => {
    const hs = kept.slice(0, T);
    const steps = kept.slice(T);
    const zeros = tf.zeros([B, U]);
    const w = weights as tf.Tensor2D;
    const recurrent = tf.slice(w, [E, 0], [U, 4 * U]);
    const dhs = tf.unstack(dy); // [B, U] each
    const peephole = tf.zeros([U]);
    const noBias = tf.zeros([4 * U]);
    const dgates: tf.Tensor[] = [];
    let dc: tf.Tensor = zeros;
    let dh: tf.Tensor | undefined;
    for (let t = T - 1; t >= 0; t--) {
      const [i, c, f, o, j, squashed] = steps.slice(6 * t, 6 * t + 6) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const before = t === 0 ? zeros : (steps[6 * (t - 1) + 1] as tf.Tensor);
      const hBefore = t === 0 ? zeros : (hs[t - 1] as tf.Tensor);
      const dht = dhs[t] as tf.Tensor;
      const total = dh === undefined ? dht : tf.add(dht, dh);
      // x, the kernel and the bias are read for their shapes alone.
      const [dcBefore, dgate] = runAll(
        'LSTMBlockCellGrad',
        [float, flag('use_peephole', false)],
        [
          hBefore,
          before,
          hBefore,
          tf.zeros([2 * U, 4 * U]),
          peephole,
          peephole,
          peephole,
          noBias,
          i,
          c,
          f,
          o,
          j,
          squashed,
          dc,
          total,
        ],
        5,
      ) as [tf.Tensor, tf.Tensor];
      dc = dcBefore;
      if (t > 0) dh = matMul(dgate, recurrent, false, true); // [B, U]
      dgates.unshift(dgate);
    }
    const dz = tf.concat(dgates, 0); // [T·B, 4·U]
    const before = tf.concat([zeros, ...hs.slice(0, T - 1)], 0); // [T·B, U]
    const dkernel = matMul(tf.concat([flat as tf.Tensor, before], 1), dz, true, false); // [E + U, 4·U]
    const dbias = run('BiasAddGrad', [float, text('data_format', 'NHWC')], [dz]);
    const dx = matMul(dz, tf.slice(w, [0, 0], [E, 4 * U]), false, true); // [T·B, E]
    return [tf.reshape(dx, [T, B, E]), dkernel, dbias];
  };

  return differentiable([x, kernel, bias], forward, backward) as tf.Tensor3D;
}

/**
 * A value with a gradient of its own.
 * @param forward the value and what the gradient needs of the way there
 * @param backward the value's gradient and those needs → a gradient per input
 */
function differentiable(
  inputs: tf.Tensor[],
  forward: () => readonly [tf.Tensor, readonly tf.Tensor[]],
  backward: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[],
): tf.Tensor {
  const operation = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const save = args.at(-1) as tf.GradSaveFunc;
    const [value, needed] = forward();
    save([...needed]);
    return { value, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => backward(dy, saved) };
  });
  return operation(...inputs);
}

/** TensorFlow's own operations by name, and the forms of their attributes. */
function tensorflowKernels(backend: TensorflowKernels) {
  const { binding } = backend;
  return {
    run: (op: string, opAttributes: Attribute[], inputs: tf.Tensor[]): tf.Tensor =>
      backend.executeSingleOutput(op, opAttributes, inputs),
    runAll: (op: string, opAttributes: Attribute[], inputs: tf.Tensor[], outputs: number): tf.Tensor[] =>
      backend.executeMultipleOutputs(op, opAttributes, inputs, outputs),
    attributes: {
      type: (name: string, value: number): Attribute => ({ name, type: binding.TF_ATTR_TYPE, value }),
      float: (name: string, value: number): Attribute => ({ name, type: binding.TF_ATTR_FLOAT, value }),
      text: (name: string, value: string): Attribute => ({ name, type: binding.TF_ATTR_STRING, value }),
      flag: (name: string, value: boolean): Attribute => ({ name, type: binding.TF_ATTR_BOOL, value }),
    },
  };
}

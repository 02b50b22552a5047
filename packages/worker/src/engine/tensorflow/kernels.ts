import * as tf from '@tensorflow/tfjs-core';

/** TensorFlow's numbers for its types. */
export const FLOAT = 1;
export const INT32 = 3;

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

export type Kernels = ReturnType<typeof tensorflowKernels>;

/** TensorFlow's own operations by name, and the forms of their attributes. */
export function tensorflowKernels(backend: TensorflowKernels) {
  const { binding } = backend;
  const attributes = {
    type: (name: string, value: number): Attribute => ({ name, type: binding.TF_ATTR_TYPE, value }),
    float: (name: string, value: number): Attribute => ({ name, type: binding.TF_ATTR_FLOAT, value }),
    text: (name: string, value: string): Attribute => ({ name, type: binding.TF_ATTR_STRING, value }),
    flag: (name: string, value: boolean): Attribute => ({ name, type: binding.TF_ATTR_BOOL, value }),
  };
  const { type, text, flag } = attributes;
  const T = type('T', FLOAT);
  const nhwc = text('data_format', 'NHWC');
  const run = (op: string, opAttributes: Attribute[], inputs: tf.Tensor[]): tf.Tensor =>
    backend.executeSingleOutput(op, opAttributes, inputs);
  const product = (a: tf.Tensor, b: tf.Tensor, transposeA: boolean): tf.Tensor2D =>
    run('MatMul', [T, flag('transpose_a', transposeA), flag('transpose_b', false)], [a, b]) as tf.Tensor2D;
  return {
    attributes,
    run,
    runAll: (op: string, opAttributes: Attribute[], inputs: tf.Tensor[], outputs: number): tf.Tensor[] =>
      backend.executeMultipleOutputs(op, opAttributes, inputs, outputs),
    /** a·b */
    product: (a: tf.Tensor, b: tf.Tensor) => product(a, b, false),
    /** aᵀ·b */
    productTransposedA: (a: tf.Tensor, b: tf.Tensor) => product(a, b, true),
    /** a·bᵀ: by the batched kernel, oneDNN's, which takes 0.6 of the time of MatMul's with b transposed. */
    productTransposedB: (a: tf.Tensor, b: tf.Tensor): tf.Tensor2D =>
      run('BatchMatMulV2', [T, flag('adj_x', false), flag('adj_y', true)], [a, b]) as tf.Tensor2D,
    biasAdd: (x: tf.Tensor, bias: tf.Tensor): tf.Tensor => run('BiasAdd', [T, nhwc], [x, bias]),
    biasGradient: (dy: tf.Tensor): tf.Tensor => run('BiasAddGrad', [T, nhwc], [dy]),
  };
}

/**
 * A value with a gradient of its own.
 * @param forward the value and what the gradient needs of the way there
 * @param backward the value's gradient and those needs → a gradient per input
 */
export function differentiable(
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

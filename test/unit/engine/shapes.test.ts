import { describe, expect, it } from 'vitest';
import type { Tensorflow } from '@showtell/worker/engine/tensorflow/addon.js';
import { recordGraph } from '@showtell/worker/engine/tensorflow/record.js';
import type { AttributeValue, DataType } from '@showtell/worker/engine/tensorflow/graph.js';
import { infer, knownOps } from '@showtell/worker/engine/tensorflow/shapes.js';
import { constant } from '@showtell/worker/engine/tensorflow/graph.js';
import { haveTensorflow, tensorflow } from '../../support/tensorflow.js';

type Value = readonly [shape: number[], dtype?: 'float32' | 'int32' | 'bool', values?: number[]];

interface Case {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly outputs?: number;
}

const f = (...shape: number[]): Value => [shape];
const ints = (...values: number[]): Value => [[values.length], 'int32', values];
const scalar = (value: number): Value => [[], 'int32', [value]];
const bools = (...shape: number[]): Value => [shape, 'bool'];
const text = (value: string): AttributeValue => ({ type: 'string', value });
const list = (...value: number[]): AttributeValue => ({ type: 'ints', value });
const int = (value: number): AttributeValue => ({ type: 'int', value });
const flag = (value: boolean): AttributeValue => ({ type: 'bool', value });
const float = (value: number): AttributeValue => ({ type: 'float', value });
const type = (value: DataType): AttributeValue => ({ type: 'type', value });

const unary = [
  'Abs', 'Exp', 'Expm1', 'Identity', 'Log', 'Log1p', 'LogSoftmax', 'Neg', 'OnesLike', 'Reciprocal', 'Relu', 'Relu6',
  'Rsqrt', 'Sigmoid', 'Sign', 'Softmax', 'Softplus', 'Sqrt', 'Square', 'StopGradient', 'Tanh', 'ZerosLike',
]; // prettier-ignore
const broadcasting = [
  'Add', 'AddV2', 'Div', 'DivNoNan', 'FloorDiv', 'FloorMod', 'Maximum', 'Minimum', 'Mul', 'Pow', 'RealDiv',
  'SquaredDifference', 'Sub', 'Equal', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'NotEqual',
]; // prettier-ignore
const likeShaped = ['RsqrtGrad', 'SigmoidGrad', 'SqrtGrad', 'TanhGrad', 'ReluGrad'];
const window = (size: number, stride: number, padding: string): Record<string, AttributeValue> => ({
  ksize: list(1, size, size, 1),
  strides: list(1, stride, stride, 1),
  padding: text(padding),
});
const conv = (stride: number, padding: string): Record<string, AttributeValue> => ({
  strides: list(1, stride, stride, 1),
  padding: text(padding),
  dilations: list(1, 1, 1, 1),
});
const lstm = { outputs: 7, attributes: { use_peephole: flag(false) } };
const T = 4;
const B = 2;
const U = 3;
const gates = Array.from({ length: 7 }, () => f(T, B, U));

const cases: Case[] = [
  ...unary.map((op) => ({ op, inputs: [f(2, 3)] })),
  ...broadcasting.map((op) => ({ op, inputs: [f(2, 1, 3), f(4, 1)] })),
  ...likeShaped.map((op) => ({ op, inputs: [f(2, 3), f(2, 3)] })),
  ...['Max', 'Mean', 'Min', 'Prod', 'Sum'].flatMap((op) => [
    { op, inputs: [f(2, 3, 4), ints(0, -1)], attributes: { keep_dims: flag(false) } },
    { op, inputs: [f(2, 3, 4), ints(1)], attributes: { keep_dims: flag(true) } },
  ]),
  ...['SAME', 'VALID'].flatMap((padding) => [
    { op: 'AvgPool', inputs: [f(2, 7, 8, 3)], attributes: window(3, 2, padding) },
    { op: 'MaxPool', inputs: [f(2, 7, 8, 3)], attributes: window(3, 2, padding) },
    { op: 'Conv2D', inputs: [f(2, 8, 9, 3), f(3, 2, 3, 5)], attributes: conv(2, padding) },
    { op: 'DepthwiseConv2dNative', inputs: [f(2, 8, 9, 3), f(3, 3, 3, 2)], attributes: conv(2, padding) },
  ]),
  { op: 'LogicalAnd', inputs: [bools(2, 1), bools(3)] },
  { op: 'LogicalOr', inputs: [bools(2, 1), bools(3)] },
  { op: 'LogicalNot', inputs: [bools(2)] },
  { op: 'AddN', inputs: [f(2, 3), f(2, 3), f(2, 3)], attributes: { N: int(3), T: type(1) } },
  { op: 'AvgPoolGrad', inputs: [ints(2, 7, 8, 3), f(2, 4, 4, 3)], attributes: window(3, 2, 'SAME') },
  { op: 'BatchMatMulV2', inputs: [f(2, 3, 4), f(1, 5, 4)], attributes: { adj_x: flag(false), adj_y: flag(true) } },
  { op: 'BiasAdd', inputs: [f(2, 3, 4), f(4)] },
  { op: 'BiasAddGrad', inputs: [f(2, 3, 4)] },
  { op: 'BroadcastTo', inputs: [f(1, 3), ints(2, 3)] },
  { op: 'Cast', inputs: [f(2, 3)], attributes: { DstT: type(3) } },
  { op: 'ConcatV2', inputs: [f(2, 3), f(2, 4), scalar(-1)], attributes: { N: int(2), T: type(1) } },
  { op: 'Conv2DBackpropFilter', inputs: [f(2, 8, 9, 3), ints(3, 3, 3, 5), f(2, 4, 5, 5)], attributes: conv(2, 'SAME') },
  { op: 'Conv2DBackpropInput', inputs: [ints(2, 8, 9, 3), f(3, 3, 3, 5), f(2, 4, 5, 5)], attributes: conv(2, 'SAME') },
  {
    op: 'DepthwiseConv2dNativeBackpropFilter',
    inputs: [f(2, 8, 9, 3), ints(3, 3, 3, 2), f(2, 4, 5, 6)],
    attributes: conv(2, 'SAME'),
  },
  {
    op: 'DepthwiseConv2dNativeBackpropInput',
    inputs: [ints(2, 8, 9, 3), f(3, 3, 3, 2), f(2, 4, 5, 6)],
    attributes: conv(2, 'SAME'),
  },
  { op: 'ExpandDims', inputs: [f(2, 3), scalar(-1)] },
  { op: 'Fill', inputs: [ints(2, 3), f()] },
  {
    op: 'FusedBatchNormV3',
    inputs: [f(2, 3, 3, 4), f(4), f(4), [[0]], [[0]]],
    attributes: { is_training: flag(true), epsilon: float(0.001) },
    outputs: 6,
  },
  {
    op: 'FusedBatchNormGradV3',
    inputs: [f(2, 3, 3, 4), f(2, 3, 3, 4), f(4), f(4), f(4), f(4)],
    attributes: { is_training: flag(true), epsilon: float(0.001) },
    outputs: 5,
  },
  { op: 'GatherV2', inputs: [f(5, 3), [[2, 2], 'int32', [0, 4, 1, 1]], scalar(0)] },
  { op: 'GatherV2', inputs: [f(5, 3), ints(0, 2, 1, 1), scalar(1)] },
  { op: 'InplaceUpdate', inputs: [f(1, 3), ints(0), f(1, 3)] },
  {
    op: 'LSTMBlockCellGrad',
    inputs: [
      f(B, U),
      f(B, U),
      f(B, U),
      f(2 * U, 4 * U),
      f(U),
      f(U),
      f(U),
      f(4 * U),
      ...Array.from({ length: 8 }, () => f(B, U)),
    ],
    attributes: { use_peephole: flag(false) },
    outputs: 5,
  },
  { op: 'LRN', inputs: [f(2, 3, 3, 4)] },
  { op: 'MatMul', inputs: [f(3, 2), f(4, 3)], attributes: { transpose_a: flag(true), transpose_b: flag(true) } },
  { op: 'MaxPoolGrad', inputs: [f(2, 7, 8, 3), f(2, 4, 4, 3), f(2, 4, 4, 3)], attributes: window(3, 2, 'SAME') },
  { op: 'OneHot', inputs: [ints(1, 0), scalar(5), f(), f()], attributes: { axis: int(-1) } },
  { op: 'OneHot', inputs: [ints(1, 0), scalar(5), f(), f()], attributes: { axis: int(0) } },
  { op: 'Pack', inputs: [f(2, 3), f(2, 3)], attributes: { N: int(2), T: type(1), axis: int(-1) } },
  { op: 'Pad', inputs: [f(2, 3), [[2, 2], 'int32', [1, 0, 2, 3]]] },
  { op: 'PadV2', inputs: [f(2, 3), [[2, 2], 'int32', [1, 0, 2, 3]], f()] },
  { op: 'Reshape', inputs: [f(2, 6), ints(3, -1)] },
  { op: 'ReverseV2', inputs: [f(2, 3), ints(0)] },
  { op: 'Select', inputs: [bools(2, 3), f(2, 3), f(2, 3)] },
  { op: 'SelectV2', inputs: [bools(3), f(2, 1), f()] },
  { op: 'Slice', inputs: [f(4, 5), ints(1, 2), ints(2, -1)] },
  { op: 'SparseSoftmaxCrossEntropyWithLogits', inputs: [f(2, 3), ints(0, 2)], outputs: 2 },
  { op: 'Split', inputs: [scalar(-1), f(2, 6)], attributes: { num_split: int(3) }, outputs: 3 },
  { op: 'SplitV', inputs: [f(2, 6), ints(1, 5), scalar(1)], attributes: { num_split: int(2) }, outputs: 2 },
  { op: 'Squeeze', inputs: [f(1, 2, 1, 3)] },
  { op: 'Squeeze', inputs: [f(1, 2, 1, 3)], attributes: { squeeze_dims: list(-2) } },
  { op: 'StridedSlice', inputs: [f(7, 8, 2), ints(1, -3), ints(-1, 8), ints(2, 1)] },
  {
    op: 'StridedSlice',
    inputs: [f(7, 8, 2), ints(3, 6), ints(4, 0), ints(1, -2)],
    attributes: { shrink_axis_mask: int(1), end_mask: int(2) },
  },
  { op: 'Tile', inputs: [f(2, 3), ints(2, 1)] },
  { op: 'TopKV2', inputs: [f(2, 5), scalar(3)], outputs: 2 },
  { op: 'Transpose', inputs: [f(2, 3, 4), ints(2, 0, 1)] },
  { op: 'Unpack', inputs: [f(2, 3)], attributes: { num: int(3), axis: int(1) }, outputs: 3 },
  { op: 'UnsortedSegmentSum', inputs: [f(4, 3), ints(0, 1, 1, 0), scalar(2)] },
];

/** A class by tfjs-node's types, plain objects by its code. */
type Attributes = Parameters<Tensorflow['backend']['executeMultipleOutputs']>[1];
const attributesOf = (list: object[]): Attributes => list as Attributes;

/** They take an int64 scalar, which tfjs has no tensor for: made by a Cast. */
const withSequenceLength: Case[] = [
  { op: 'BlockLSTM', inputs: [f(T, B, 5), f(B, U), f(B, U), f(5 + U, 4 * U), f(U), f(U), f(U), f(4 * U)], ...lstm },
  ...['BlockLSTMGrad', 'BlockLSTMGradV2'].map((op) => ({
    op,
    inputs: [
      ...[f(T, B, 5), f(B, U), f(B, U), f(5 + U, 4 * U), f(U), f(U), f(U), f(4 * U), ...gates],
      ...[f(T, B, U), f(T, B, U)],
    ],
    attributes: { use_peephole: flag(false) },
    outputs: 8,
  })),
];

describe.skipIf(!haveTensorflow)('shape functions (skipped where the engine is not set up)', () => {
  it('has a case for each operation that can be recorded', () => {
    const tried = new Set([...cases, ...withSequenceLength].map(({ op }) => op));
    expect(knownOps.filter((op) => !tried.has(op))).toEqual([]);
  });

  it.each([...cases, ...withSequenceLength].map((each, i) => [`${each.op} ${i}`, each] as const))(
    '%s has the shapes that TensorFlow returns',
    (_, { op, inputs, attributes = {}, outputs = 1 }) => {
      const { tf, backend, binding } = tensorflow();
      const codes = {
        string: binding.TF_ATTR_STRING,
        int: binding.TF_ATTR_INT,
        strings: binding.TF_ATTR_STRING,
        types: binding.TF_ATTR_TYPE,
        ints: binding.TF_ATTR_INT,
        float: binding.TF_ATTR_FLOAT,
        bool: binding.TF_ATTR_BOOL,
        type: binding.TF_ATTR_TYPE,
        shape: binding.TF_ATTR_SHAPE,
      };
      const stated = Object.entries(attributes).map(([name, { type: kind, value }]) => ({
        name,
        type: codes[kind],
        value,
      }));
      const run = (): { shapes: number[][]; dtypes: string[] } =>
        tf.tidy(() => {
          const tensors = inputs.map(([shape, dtype = 'float32', values]) =>
            values === undefined ? tf.ones(shape, dtype) : tf.tensor(values, shape, dtype),
          );
          if (withSequenceLength.some((each) => each.op === op)) tensors.unshift(sequenceLength());
          const results = backend.executeMultipleOutputs(op, attributesOf(stated), tensors, outputs);
          return { shapes: results.map((result) => result.shape), dtypes: results.map((result) => result.dtype) };
        });
      const sequenceLength = () =>
        backend.executeSingleOutput(
          'Cast',
          attributesOf([
            { name: 'SrcT', type: codes.type, value: 3 },
            { name: 'DstT', type: codes.type, value: 9 },
          ]),
          [tf.scalar(T, 'int32')],
        );
      let recorded: { shapes: number[][]; dtypes: string[] } | undefined;
      recordGraph(tensorflow(), {}, () => {
        recorded = run();
        return {};
      });
      expect(recorded).toEqual(run());
    },
  );

  it('names the operation that it does not know', () => {
    expect(() => infer('Bincount', [], new Map(), 1)).toThrow(/Bincount/);
  });

  it('refuses a shape that depends on a computed value', () => {
    const shape = { shape: [2], dtype: 3 } as const;
    const computed = { ...constant('x', shape, new Int32Array(2)), op: 'Add' };
    const { value, ...node } = computed;
    expect(value).toBeDefined();
    const input = { node: constant('y', { shape: [4], dtype: 1 }, new Float32Array(4)), index: 0 };
    expect(() => infer('Reshape', [input, { node, index: 0 }], new Map(), 1)).toThrow(/depends on input 1/);
  });
});

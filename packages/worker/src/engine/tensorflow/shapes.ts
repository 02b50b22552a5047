import { DataType, typeOf, type AttributeValue, type ConstantValue, type Output, type TensorType } from './graph.js';

/** What a shape function may look at. */
class Call {
  constructor(
    readonly op: string,
    readonly inputs: readonly Output[],
    readonly attributes: ReadonlyMap<string, AttributeValue>,
    readonly outputCount: number,
  ) {}

  type(index: number): TensorType {
    const input = this.inputs[index];
    if (input === undefined) throw new RangeError(`${this.op} has no input ${index}`);
    return typeOf(input);
  }

  shape(index: number): readonly number[] {
    return this.type(index).shape;
  }

  dtype(index: number): DataType {
    return this.type(index).dtype;
  }

  /** The value of an input that must be a constant, since the output's shape depends on it. */
  constant(index: number): number[] {
    const value: ConstantValue | undefined = this.inputs[index]?.node.value;
    if (value === undefined)
      throw new RangeError(`the shape of ${this.op} depends on input ${index}, which is computed`);
    return Array.from(value as ArrayLike<number | bigint>, Number);
  }

  #attribute(name: string, type: AttributeValue['type']): AttributeValue['value'] | undefined {
    const found = this.attributes.get(name);
    if (found === undefined) return undefined;
    if (found.type !== type) throw new TypeError(`attribute ${name} of ${this.op} is ${found.type}, not ${type}`);
    return found.value;
  }

  int(name: string, otherwise = 0): number {
    return (this.#attribute(name, 'int') as number | undefined) ?? otherwise;
  }

  ints(name: string): readonly number[] {
    return (this.#attribute(name, 'ints') as readonly number[] | undefined) ?? [];
  }

  bool(name: string): boolean {
    return this.#attribute(name, 'bool') === true;
  }

  string(name: string): string {
    return (this.#attribute(name, 'string') as string | undefined) ?? '';
  }

  typeAttribute(name: string, otherwise: DataType): DataType {
    return (this.#attribute(name, 'type') as DataType | undefined) ?? otherwise;
  }
}

type ShapeFunction = (call: Call) => readonly TensorType[];

interface OpRow {
  readonly shape: ShapeFunction;
  /** Type attributes that eager execution infers from an input and a graph must state: name → input. */
  readonly types?: Readonly<Record<string, number>>;
}

/** Output types of one operation, and the attributes a graph must state besides those recorded. */
export function infer(
  op: string,
  inputs: readonly Output[],
  attributes: ReadonlyMap<string, AttributeValue>,
  outputCount: number,
): { readonly outputs: readonly TensorType[]; readonly attributes: ReadonlyMap<string, AttributeValue> } {
  const row = rows.get(op);
  if (row === undefined) throw new RangeError(`no shape function for ${op} (engine/tensorflow/shapes.ts)`);
  const call = new Call(op, inputs, attributes, outputCount);
  const outputs = row.shape(call);
  const stated = new Map(attributes);
  for (const [name, input] of Object.entries(row.types ?? {})) {
    if (!stated.has(name)) stated.set(name, { type: 'type', value: call.dtype(input) });
  }
  return { outputs, attributes: stated };
}

const sameAs =
  (index: number): ShapeFunction =>
  (call) => [call.type(index)];

const elementwise: OpRow = { shape: sameAs(0), types: { T: 0 } };

const binary: OpRow = {
  shape: (call) => [{ shape: broadcast(call.shape(0), call.shape(1)), dtype: call.dtype(0) }],
  types: { T: 0 },
};

const comparison: OpRow = {
  shape: (call) => [{ shape: broadcast(call.shape(0), call.shape(1)), dtype: DataType.bool }],
  types: { T: 0 },
};

const reduction: OpRow = {
  shape: (call) => [{ shape: reduce(call.shape(0), call.constant(1), call.bool('keep_dims')), dtype: call.dtype(0) }],
  types: { T: 0, Tidx: 1 },
};

const shapeFromConstant =
  (index: number, dtypeOf: number): ShapeFunction =>
  (call) => [{ shape: call.constant(index), dtype: call.dtype(dtypeOf) }];

const pool: OpRow = {
  shape: (call) => {
    const [batch, height, width, channels] = call.shape(0) as [number, number, number, number];
    const [, kernelHeight, kernelWidth] = call.ints('ksize') as [number, number, number, number];
    const [, strideHeight, strideWidth] = call.ints('strides') as [number, number, number, number];
    const padding = call.string('padding');
    const rowsOut = windows(height, kernelHeight, strideHeight, padding);
    const columnsOut = windows(width, kernelWidth, strideWidth, padding);
    return [{ shape: [batch, rowsOut, columnsOut, channels], dtype: call.dtype(0) }];
  },
  types: { T: 0 },
};

const convolution =
  (channelsOut: (filter: readonly number[]) => number): ShapeFunction =>
  (call) => {
    const [batch, height, width] = call.shape(0) as [number, number, number, number];
    const filter = call.shape(1);
    const [kernelHeight, kernelWidth] = filter as [number, number, number, number];
    const [, strideHeight, strideWidth] = call.ints('strides') as [number, number, number, number];
    const dilations = call.ints('dilations');
    if (dilations.some((dilation) => dilation !== 1))
      throw new RangeError(`${call.op} with dilations is not supported`);
    const padding = call.string('padding');
    const shape = [
      batch,
      windows(height, kernelHeight, strideHeight, padding),
      windows(width, kernelWidth, strideWidth, padding),
      channelsOut(filter),
    ];
    return [{ shape, dtype: call.dtype(0) }];
  };

const rows = new Map<string, OpRow>(
  Object.entries({
    ...Object.fromEntries(
      // prettier-ignore
      ['Abs', 'Exp', 'Expm1', 'Identity', 'Log', 'Log1p', 'LogSoftmax', 'Neg', 'OnesLike', 'Reciprocal', 'Relu', 'Relu6',
        'Rsqrt', 'Sigmoid', 'Sign', 'Softmax', 'Softplus', 'Sqrt', 'Square', 'StopGradient', 'Tanh', 'ZerosLike',
      ].map((op) => [op, elementwise]),
    ),
    ...Object.fromEntries(
      // prettier-ignore
      ['Add', 'AddV2', 'Div', 'DivNoNan', 'FloorDiv', 'FloorMod', 'Maximum', 'Minimum', 'Mul', 'Pow', 'RealDiv',
        'RsqrtGrad', 'SigmoidGrad', 'SqrtGrad', 'SquaredDifference', 'Sub', 'TanhGrad', 'ReluGrad', 'BiasAdd',
      ].map((op) => [op, binary]),
    ),
    ...Object.fromEntries(
      ['Equal', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'NotEqual'].map((op) => [op, comparison]),
    ),
    ...Object.fromEntries(['Max', 'Mean', 'Min', 'Prod', 'Sum'].map((op) => [op, reduction])),
    LogicalAnd: { shape: comparison.shape },
    LogicalOr: { shape: comparison.shape },
    LogicalNot: { shape: sameAs(0) },

    AddN: { shape: sameAs(0), types: { T: 0 } },
    AvgPool: pool,
    AvgPoolGrad: { shape: shapeFromConstant(0, 1), types: { T: 1 } },
    BatchMatMulV2: {
      shape: (call) => {
        const a = call.shape(0);
        const b = call.shape(1);
        const rowsOut = a.at(call.bool('adj_x') ? -1 : -2) ?? 1;
        const columnsOut = b.at(call.bool('adj_y') ? -2 : -1) ?? 1;
        return [{ shape: [...broadcast(a.slice(0, -2), b.slice(0, -2)), rowsOut, columnsOut], dtype: call.dtype(0) }];
      },
      types: { T: 0 },
    },
    BiasAddGrad: { shape: (call) => [{ shape: call.shape(0).slice(-1), dtype: call.dtype(0) }], types: { T: 0 } },
    BlockLSTM: {
      shape: (call) => {
        const [time, batch] = call.shape(1) as [number, number, number];
        const [, units] = call.shape(2) as [number, number];
        return Array.from({ length: 7 }, () => ({ shape: [time, batch, units], dtype: call.dtype(1) }));
      },
      types: { T: 1 },
    },
    BlockLSTMGrad: { shape: (call) => [1, 2, 3, 4, 5, 6, 7, 8].map((input) => call.type(input)), types: { T: 1 } },
    BlockLSTMGradV2: { shape: (call) => [1, 2, 3, 4, 5, 6, 7, 8].map((input) => call.type(input)), types: { T: 1 } },
    BroadcastTo: { shape: shapeFromConstant(1, 0), types: { T: 0, Tidx: 1 } },
    Cast: {
      shape: (call) => [{ shape: call.shape(0), dtype: call.typeAttribute('DstT', call.dtype(0)) }],
      types: { SrcT: 0 },
    },
    ConcatV2: {
      shape: (call) => {
        const count = call.inputs.length - 1;
        const first = [...call.shape(0)];
        const axis = axisOf(call.constant(count)[0] ?? 0, first.length);
        first[axis] = Array.from({ length: count }, (_, i) => call.shape(i)[axis] ?? 0).reduce(
          (sum, size) => sum + size,
          0,
        );
        return [{ shape: first, dtype: call.dtype(0) }];
      },
      types: { T: 0 },
    },
    Conv2D: { shape: convolution((filter) => filter[3] ?? 0), types: { T: 0 } },
    Conv2DBackpropFilter: { shape: shapeFromConstant(1, 0), types: { T: 0 } },
    Conv2DBackpropInput: { shape: shapeFromConstant(0, 2), types: { T: 2 } },
    DepthwiseConv2dNative: { shape: convolution((filter) => (filter[2] ?? 0) * (filter[3] ?? 0)), types: { T: 0 } },
    DepthwiseConv2dNativeBackpropFilter: { shape: shapeFromConstant(1, 0), types: { T: 0 } },
    DepthwiseConv2dNativeBackpropInput: { shape: shapeFromConstant(0, 2), types: { T: 2 } },
    ExpandDims: {
      shape: (call) => {
        const shape = [...call.shape(0)];
        shape.splice(axisOf(call.constant(1)[0] ?? 0, shape.length + 1), 0, 1);
        return [{ shape, dtype: call.dtype(0) }];
      },
      types: { T: 0, Tdim: 1 },
    },
    Fill: { shape: shapeFromConstant(0, 1), types: { T: 1, index_type: 0 } },
    FusedBatchNormGradV3: {
      shape: (call) => [
        call.type(1),
        call.type(2),
        call.type(2),
        { shape: [], dtype: call.dtype(2) },
        { shape: [], dtype: call.dtype(2) },
      ],
      types: { T: 0, U: 3 },
    },
    FusedBatchNormV3: {
      shape: (call) => {
        const perChannel = { shape: call.shape(1), dtype: call.dtype(1) };
        // The sixth is cuDNN's workspace, empty on a processor.
        return [call.type(0), perChannel, perChannel, perChannel, perChannel, { shape: [0], dtype: call.dtype(1) }];
      },
      types: { T: 0, U: 1 },
    },
    GatherV2: {
      shape: (call) => {
        const params = call.shape(0);
        const axis = axisOf(call.constant(2)[0] ?? 0, params.length);
        if (call.int('batch_dims') !== 0) throw new RangeError('GatherV2 with batch_dims is not supported');
        return [
          { shape: [...params.slice(0, axis), ...call.shape(1), ...params.slice(axis + 1)], dtype: call.dtype(0) },
        ];
      },
      types: { Tparams: 0, Tindices: 1, Taxis: 2 },
    },
    InplaceUpdate: { shape: sameAs(0), types: { T: 0 } },
    LSTMBlockCellGrad: {
      shape: (call) => {
        const state = call.type(1);
        const [batch, units] = state.shape as [number, number];
        const peephole = { shape: [units], dtype: state.dtype };
        return [state, { shape: [batch, 4 * units], dtype: state.dtype }, peephole, peephole, peephole];
      },
      types: { T: 0 },
    },
    LRN: { shape: sameAs(0), types: { T: 0 } },
    MatMul: {
      shape: (call) => {
        const rowsOut = call.shape(0)[call.bool('transpose_a') ? 1 : 0] ?? 0;
        const columnsOut = call.shape(1)[call.bool('transpose_b') ? 0 : 1] ?? 0;
        return [{ shape: [rowsOut, columnsOut], dtype: call.dtype(0) }];
      },
      types: { T: 0 },
    },
    MaxPool: pool,
    MaxPoolGrad: { shape: sameAs(0), types: { T: 0 } },
    OneHot: {
      shape: (call) => {
        const shape = [...call.shape(0)];
        const axis = call.int('axis', -1);
        shape.splice(axis < 0 ? shape.length : axis, 0, call.constant(1)[0] ?? 0);
        return [{ shape, dtype: call.dtype(2) }];
      },
      types: { T: 2, TI: 0 },
    },
    Pack: {
      shape: (call) => {
        const shape = [...call.shape(0)];
        shape.splice(axisOf(call.int('axis'), shape.length + 1), 0, call.inputs.length);
        return [{ shape, dtype: call.dtype(0) }];
      },
      types: { T: 0 },
    },
    Pad: { shape: padded, types: { T: 0, Tpaddings: 1 } },
    PadV2: { shape: padded, types: { T: 0, Tpaddings: 1 } },
    Reshape: {
      shape: (call) => {
        const shape = call.constant(1);
        const size = call.shape(0).reduce((product, dimension) => product * dimension, 1);
        const known = shape.reduce((product, dimension) => (dimension < 0 ? product : product * dimension), 1);
        return [{ shape: shape.map((dimension) => (dimension < 0 ? size / known : dimension)), dtype: call.dtype(0) }];
      },
      types: { T: 0, Tshape: 1 },
    },
    ReverseV2: { shape: sameAs(0), types: { T: 0, Tidx: 1 } },
    Select: { shape: sameAs(1), types: { T: 1 } },
    SelectV2: {
      shape: (call) => [
        { shape: broadcast(call.shape(0), broadcast(call.shape(1), call.shape(2))), dtype: call.dtype(1) },
      ],
      types: { T: 1 },
    },
    Slice: {
      shape: (call) => {
        const begin = call.constant(1);
        const shape = call.constant(2).map((size, i) => (size < 0 ? (call.shape(0)[i] ?? 0) - (begin[i] ?? 0) : size));
        return [{ shape, dtype: call.dtype(0) }];
      },
      types: { T: 0, Index: 1 },
    },
    SparseSoftmaxCrossEntropyWithLogits: {
      shape: (call) => [{ shape: call.shape(0).slice(0, 1), dtype: call.dtype(0) }, call.type(0)],
      types: { T: 0, Tlabels: 1 },
    },
    Split: {
      shape: (call) => {
        const count = call.outputCount;
        const shape = [...call.shape(1)];
        const axis = axisOf(call.constant(0)[0] ?? 0, shape.length);
        shape[axis] = (shape[axis] ?? 0) / count;
        return Array.from({ length: count }, () => ({ shape, dtype: call.dtype(1) }));
      },
      types: { T: 1 },
    },
    SplitV: {
      shape: (call) => {
        const axis = axisOf(call.constant(2)[0] ?? 0, call.shape(0).length);
        return call.constant(1).map((size) => ({ shape: call.shape(0).with(axis, size), dtype: call.dtype(0) }));
      },
      types: { T: 0, Tlen: 1 },
    },
    Squeeze: {
      shape: (call) => {
        const shape = call.shape(0);
        const dims = (call.attributes.has('squeeze_dims') ? call.ints('squeeze_dims') : call.ints('axis')).map((axis) =>
          axisOf(axis, shape.length),
        );
        const kept = shape.filter((size, i) => (dims.length === 0 ? size !== 1 : !dims.includes(i)));
        return [{ shape: kept, dtype: call.dtype(0) }];
      },
      types: { T: 0 },
    },
    StridedSlice: { shape: stridedSlice, types: { T: 0, Index: 1 } },
    Tile: {
      shape: (call) => {
        const times = call.constant(1);
        return [{ shape: call.shape(0).map((size, i) => size * (times[i] ?? 1)), dtype: call.dtype(0) }];
      },
      types: { T: 0, Tmultiples: 1 },
    },
    TopKV2: {
      shape: (call) => {
        const shape = call.shape(0).with(-1, call.constant(1)[0] ?? 0);
        return [
          { shape, dtype: call.dtype(0) },
          { shape, dtype: DataType.int32 },
        ];
      },
      types: { T: 0 },
    },
    Transpose: {
      shape: (call) => [{ shape: call.constant(1).map((axis) => call.shape(0)[axis] ?? 0), dtype: call.dtype(0) }],
      types: { T: 0, Tperm: 1 },
    },
    Unpack: {
      shape: (call) => {
        const shape = [...call.shape(0)];
        const [count] = shape.splice(axisOf(call.int('axis'), shape.length), 1);
        return Array.from({ length: count ?? 0 }, () => ({ shape, dtype: call.dtype(0) }));
      },
      types: { T: 0 },
    },
    UnsortedSegmentSum: {
      shape: (call) => [
        { shape: [call.constant(2)[0] ?? 0, ...call.shape(0).slice(call.shape(1).length)], dtype: call.dtype(0) },
      ],
      types: { T: 0, Tindices: 1, Tnumsegments: 2 },
    },
  } satisfies Record<string, OpRow>),
);

/** Operations that can be recorded; the test that holds their shapes against TensorFlow's goes through them. */
export const knownOps: readonly string[] = [...rows.keys()];

function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const left = a[i - rank + a.length] ?? 1;
    const right = b[i - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1)
      throw new RangeError(`[${a.join()}] and [${b.join()}] do not broadcast`);
    return left === 1 ? right : left;
  });
}

function reduce(shape: readonly number[], axes: readonly number[], keep: boolean): number[] {
  const reduced = new Set(axes.map((axis) => axisOf(axis, shape.length)));
  return shape.flatMap((size, i) => (reduced.has(i) ? (keep ? [1] : []) : [size]));
}

function windows(size: number, kernel: number, stride: number, padding: string): number {
  if (padding === 'SAME') return Math.ceil(size / stride);
  if (padding === 'VALID') return Math.floor((size - kernel) / stride) + 1;
  throw new RangeError(`padding ${padding} is not supported`);
}

function padded(call: Call): readonly TensorType[] {
  const paddings = call.constant(1);
  const shape = call.shape(0).map((size, i) => size + (paddings[2 * i] ?? 0) + (paddings[2 * i + 1] ?? 0));
  return [{ shape, dtype: call.dtype(0) }];
}

function stridedSlice(call: Call): readonly TensorType[] {
  const masks = { begin: call.int('begin_mask'), end: call.int('end_mask'), shrink: call.int('shrink_axis_mask') };
  if (call.int('ellipsis_mask') !== 0 || call.int('new_axis_mask') !== 0)
    throw new RangeError('StridedSlice with an ellipsis or a new axis is not supported');
  const begins = call.constant(1);
  const ends = call.constant(2);
  const strides = call.constant(3);
  const shape = call.shape(0).flatMap((size, i) => {
    const stride = strides[i];
    if (stride === undefined) return [size];
    const bit = 1 << i;
    if ((masks.shrink & bit) !== 0) return [];
    const clamp = (value: number): number =>
      Math.min(Math.max(value < 0 ? value + size : value, stride > 0 ? 0 : -1), stride > 0 ? size : size - 1);
    const begin = (masks.begin & bit) !== 0 ? (stride > 0 ? 0 : size - 1) : clamp(begins[i] ?? 0);
    const end = (masks.end & bit) !== 0 ? (stride > 0 ? size : -1) : clamp(ends[i] ?? 0);
    return [Math.max(0, Math.ceil((end - begin) / stride))];
  });
  return [{ shape, dtype: call.dtype(0) }];
}

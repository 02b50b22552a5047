import {
  type AttributeValue,
  constant,
  DataType,
  type GraphNode,
  type Output,
  placeholder,
} from '../engine/tensorflow/graph.js';

const float: AttributeValue = { type: 'type', value: DataType.float };
const int32: AttributeValue = { type: 'type', value: DataType.int32 };

type Attributes = Readonly<Record<string, AttributeValue>>;

/** Convolutions and pools as TensorFlow wants them described. */
export interface Window {
  readonly stride: number;
  readonly padding: 'SAME' | 'VALID';
}

/**
 * Builds a graph of TensorFlow's public operations, node by node, so that any TensorFlow runs it, at any batch size; the
 * engine's own graphs have fused operations and fixed shapes. Nodes are named by what they are for.
 */
export class GraphBuilder {
  readonly nodes: GraphNode[] = [];
  readonly #names = new Set<string>();

  /** @param shape −1 for a dimension that may be any */
  input(name: string, shape: readonly number[], dtype: DataType = DataType.float): Output {
    return this.#add(placeholder(this.#unique(name), { shape, dtype }));
  }

  weights(name: string, shape: readonly number[], values: Float32Array): Output {
    return this.#add(constant(this.#unique(name), { shape, dtype: DataType.float }, values));
  }

  integers(name: string, values: readonly number[]): Output {
    return this.#add(
      constant(this.#unique(name), { shape: [values.length], dtype: DataType.int32 }, Int32Array.from(values)),
    );
  }

  number(name: string, value: number): Output {
    return this.#add(constant(this.#unique(name), { shape: [], dtype: DataType.float }, Float32Array.of(value)));
  }

  conv(name: string, x: Output, weights: Output, window: Window): Output {
    return this.op(name, 'Conv2D', [x, weights], { T: float, ...describe(window) });
  }

  depthwise(name: string, x: Output, weights: Output, window: Window): Output {
    return this.op(name, 'DepthwiseConv2dNative', [x, weights], { T: float, ...describe(window) });
  }

  pool(name: string, kind: 'MaxPool' | 'AvgPool', x: Output, size: number, window: Window): Output {
    return this.op(name, kind, [x], { T: float, ksize: ints([1, size, size, 1]), ...describe(window) });
  }

  bias(name: string, x: Output, biases: Output): Output {
    return this.op(name, 'BiasAdd', [x, biases], { T: float, data_format: text('NHWC') });
  }

  concat(name: string, values: readonly Output[], axis: number): Output {
    const at = this.#scalar(`${name}/axis`, axis);
    return this.op(name, 'ConcatV2', [...values, at], { N: int(values.length), T: float, Tidx: int32 });
  }

  /** Averages over axes. */
  mean(name: string, x: Output, axes: readonly number[]): Output {
    const over = this.integers(`${name}/axes`, axes);
    return this.op(name, 'Mean', [x, over], { T: float, Tidx: int32, keep_dims: { type: 'bool', value: false } });
  }

  product(name: string, a: Output, b: Output): Output {
    const as = { type: 'bool', value: false } as const;
    return this.op(name, 'MatMul', [a, b], { T: float, transpose_a: as, transpose_b: as });
  }

  /** `count` equal parts along an axis. */
  split(name: string, x: Output, count: number, axis: number): Output[] {
    const at = this.#scalar(`${name}/axis`, axis);
    const { node } = this.op(name, 'Split', [at, x], { num_split: int(count), T: float }, count);
    return Array.from({ length: count }, (_, index) => ({ node, index }));
  }

  /** Zeros, `width` of them for each row of a matrix. */
  zeros(name: string, like: Output, width: number): Output {
    const shape = this.op(`${name}/shape`, 'Shape', [like], { T: float, out_type: int32 });
    const first = [shape, this.integers(`${name}/begin`, [0]), this.integers(`${name}/size`, [1])];
    const rows = this.op(`${name}/rows`, 'Slice', first, { T: int32, Index: int32 });
    const sizes = [rows, this.integers(`${name}/width`, [width]), this.#scalar(`${name}/axis`, 0)];
    const both = this.op(`${name}/sizes`, 'ConcatV2', sizes, { N: int(2), T: int32, Tidx: int32 });
    return this.op(name, 'Fill', [both, this.number(`${name}/zero`, 0)], { T: float, index_type: int32 });
  }

  /** Rows of a table. */
  gather(name: string, table: Output, rows: Output): Output {
    const axis = this.#scalar(`${name}/axis`, 0);
    const types = { Tparams: float, Tindices: int32, Taxis: int32, batch_dims: int(0) };
    return this.op(name, 'GatherV2', [table, rows, axis], types);
  }

  /** An operation on one type of numbers: AddV2, Mul, Relu, Sigmoid, … */
  of(name: string, op: string, ...inputs: readonly Output[]): Output {
    return this.op(name, op, inputs, { T: float });
  }

  op(name: string, op: string, inputs: readonly Output[], attributes: Attributes, outputs = 1): Output {
    const type = { shape: [], dtype: DataType.float };
    return this.#add({
      name: this.#unique(name),
      op,
      inputs,
      attributes: new Map(Object.entries(attributes)),
      outputs: Array.from({ length: outputs }, () => type),
    });
  }

  #scalar(name: string, value: number): Output {
    return this.#add(constant(this.#unique(name), { shape: [], dtype: DataType.int32 }, Int32Array.of(value)));
  }

  #unique(name: string): string {
    let unique = name;
    for (let i = 1; this.#names.has(unique); i++) unique = `${name}_${i}`;
    this.#names.add(unique);
    return unique;
  }

  #add(node: GraphNode): Output {
    this.nodes.push(node);
    return { node, index: 0 };
  }
}

function describe({ stride, padding }: Window): Attributes {
  return { strides: ints([1, stride, stride, 1]), padding: text(padding), data_format: text('NHWC') };
}

function int(value: number): AttributeValue {
  return { type: 'int', value };
}

function ints(value: readonly number[]): AttributeValue {
  return { type: 'ints', value };
}

function text(value: string): AttributeValue {
  return { type: 'string', value };
}

/**
 * A TensorFlow graph as plain data: what recording yields, what passes rewrite, what is encoded as a SavedModel.
 */

/** TensorFlow's numbers of its types (tensorflow/core/framework/types.proto). */
export const DataType = { float: 1, int32: 3, uint8: 4, string: 7, int64: 9, bool: 10, bfloat16: 14 } as const;
export type DataType = (typeof DataType)[keyof typeof DataType];

export interface TensorType {
  readonly shape: readonly number[];
  readonly dtype: DataType;
}

export type AttributeValue =
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'int' | 'float'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'type'; readonly value: DataType }
  | { readonly type: 'shape'; readonly value: readonly number[] }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'types'; readonly value: readonly DataType[] };

/** Bytes of a constant, whatever view they came in. */
export type ConstantValue = Float32Array | Int32Array | Uint8Array | Uint16Array | BigInt64Array;

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly Output[];
  /** Nodes that must have run before this one. */
  readonly controls?: readonly GraphNode[];
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  readonly outputs: readonly TensorType[];
  /** Of a `Const` only; not copied, so it must not change before the graph is loaded. */
  readonly value?: ConstantValue;
}

/** One output of a node. */
export interface Output {
  readonly node: GraphNode;
  readonly index: number;
}

export interface Graph {
  /** Each after all it depends on. */
  readonly nodes: readonly GraphNode[];
  readonly feeds: ReadonlyMap<string, GraphNode>;
  readonly fetches: ReadonlyMap<string, Output>;
}

export function typeOf(output: Output): TensorType {
  const type = output.node.outputs[output.index];
  if (type === undefined) throw new RangeError(`${output.node.name} has no output ${output.index}`);
  return type;
}

export function constant(name: string, type: TensorType, value: ConstantValue): GraphNode {
  const attributes = new Map<string, AttributeValue>([['dtype', { type: 'type', value: type.dtype }]]);
  return { name, op: 'Const', inputs: [], attributes, outputs: [type], value };
}

export function placeholder(name: string, type: TensorType): GraphNode {
  const attributes = new Map<string, AttributeValue>([
    ['dtype', { type: 'type', value: type.dtype }],
    ['shape', { type: 'shape', value: type.shape }],
  ]);
  return { name, op: 'Placeholder', inputs: [], attributes, outputs: [type] };
}

/** A cast; `Truncate` stays false: rounding is to nearest even. */
export function cast(name: string, input: Output, dtype: DataType): GraphNode {
  const from = typeOf(input);
  const attributes = new Map<string, AttributeValue>([
    ['SrcT', { type: 'type', value: from.dtype }],
    ['DstT', { type: 'type', value: dtype }],
  ]);
  return { name, op: 'Cast', inputs: [input], attributes, outputs: [{ shape: from.shape, dtype }] };
}

/**
 * The graph without nodes that no fetch needs, and with one node where several compute the same thing from the same
 * inputs (im2txt's unrolled LSTM alone records some hundred equal constants). Feeds stay, needed or not.
 */
export function simplify(graph: Graph): Graph {
  const needed = new Set<GraphNode>();
  const pending = [...graph.fetches.values()].map((output) => output.node);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (needed.has(node)) continue;
    needed.add(node);
    pending.push(...node.inputs.map((input) => input.node), ...(node.controls ?? []));
  }
  return rewrite(
    { ...graph, nodes: graph.nodes.filter((node) => needed.has(node) || node.op === 'Placeholder') },
    mergeEqual(),
  );
}

/** A step over the nodes in order: given a node whose inputs are already replaced, its replacement. */
export type Rewriter = (node: GraphNode, emit: (node: GraphNode) => void) => readonly Output[];

/**
 * Rebuilds a graph node by node. The rewriter emits the nodes that stand for one and says which outputs replace its
 * outputs.
 */
export function rewrite(graph: Graph, rewriter: Rewriter): Graph {
  const nodes: GraphNode[] = [];
  const replaced = new Map<GraphNode, readonly Output[]>();
  const follow = (output: Output): Output => {
    const target = replaced.get(output.node)?.[output.index];
    if (target === undefined) throw new RangeError(`${output.node.name} is used before it is computed`);
    return target;
  };
  for (const node of graph.nodes) {
    const inputs = node.inputs.map(follow);
    const same = inputs.every(
      (input, i) => input.node === node.inputs[i]?.node && input.index === node.inputs[i].index,
    );
    replaced.set(
      node,
      rewriter(same ? node : { ...node, inputs }, (emitted) => nodes.push(emitted)),
    );
  }
  const fetches = new Map([...graph.fetches].map(([name, output]) => [name, follow(output)]));
  return { nodes, feeds: graph.feeds, fetches };
}

/** All outputs of a node, as a replacement of itself. */
export function outputsOf(node: GraphNode): Output[] {
  return node.outputs.map((_, index) => ({ node, index }));
}

function mergeEqual(): Rewriter {
  const seen = new Map<string, GraphNode[]>();
  const numbers = new Map<GraphNode, number>();
  const number = (node: GraphNode): number => {
    const known = numbers.get(node) ?? numbers.size;
    numbers.set(node, known);
    return known;
  };
  return (node, emit) => {
    if (node.op === 'Placeholder' || node.controls?.length) {
      emit(node);
      return outputsOf(node);
    }
    const inputs = node.inputs.map((input) => [number(input.node), input.index]);
    const attributes = [...node.attributes].sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify([node.op, inputs, attributes, node.outputs]);
    const alike = seen.get(key) ?? [];
    seen.set(key, alike);
    const equal = alike.find((other) => sameBytes(node.value, other.value));
    if (equal !== undefined) return outputsOf(equal);
    alike.push(node);
    emit(node);
    return outputsOf(node);
  };
}

function sameBytes(a: ConstantValue | undefined, b: ConstantValue | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const bytes = (value: ConstantValue): Buffer => Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return bytes(a).equals(bytes(b));
}

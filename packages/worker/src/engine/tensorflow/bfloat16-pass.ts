import { toBfloat16 as narrow } from '@showtell/shared/tensors/bfloat16.js';
import {
  cast,
  constant,
  DataType,
  outputsOf,
  rewrite,
  typeOf,
  type AttributeValue,
  type Graph,
  type GraphNode,
  type Output,
} from './graph.js';

/** Inputs and outputs of an operation that may be bfloat16; the rest keep their type. */
interface LowPrecision {
  /** Inputs, by position; all float32 ones where absent. */
  readonly inputs?: readonly number[];
  /** Outputs, by position; all float32 ones where absent. */
  readonly outputs?: readonly number[];
}

/** Where nearly all multiplications are: always bfloat16. oneDNN sums their products in float32. */
const products = new Map<string, LowPrecision>([
  ['Conv2D', {}],
  ['Conv2DBackpropFilter', {}],
  ['Conv2DBackpropInput', {}],
  ['MatMul', {}],
  ['BatchMatMulV2', {}],
]);

/**
 * What lies between: bfloat16 when what it reads already is. Sums over many values (batch norm's statistics, bias
 * gradients, means, losses) and all that keeps a state over time (the LSTM's cell) stay float32.
 */
const between = new Map<string, LowPrecision>([
  ['AddN', {}],
  ['AvgPool', {}],
  ['AvgPoolGrad', {}],
  ['BiasAdd', {}],
  ['ConcatV2', {}],
  ['FusedBatchNormGradV3', { inputs: [0, 1], outputs: [0] }],
  ['FusedBatchNormV3', { inputs: [0], outputs: [0] }],
  ['Identity', {}],
  ['MaxPool', {}],
  ['MaxPoolGrad', {}],
  ['Pad', {}],
  ['Relu', {}],
  ['ReluGrad', {}],
  ['Reshape', {}],
  ['Slice', {}],
  ['Transpose', {}],
  ['Unpack', {}],
]);

/**
 * Puts convolutions, products and what lies between them into bfloat16, as `torch.autocast` does; parameters, sums,
 * statistics and losses stay float32, and so does everything fetched.
 */
export function toBfloat16(graph: Graph): Graph {
  const conversions = new Conversions();
  const lowered = rewrite(graph, (node, emit) => {
    const rule =
      products.get(node.op) ?? (readsBfloat16(node) ? (between.get(node.op) ?? additionOfImages(node)) : undefined);
    const low = rule === undefined ? new Set<number>() : positions(rule.inputs, node.inputs.map(typeOf));
    const inputs = node.inputs.map((input, i) => {
      if (low.has(i)) return conversions.of(input, DataType.bfloat16, emit);
      return typeOf(input).dtype === DataType.bfloat16 ? conversions.of(input, DataType.float, emit) : input;
    });
    const replacement = rule === undefined ? { ...node, inputs } : lower({ ...node, inputs }, rule);
    emit(replacement);
    return outputsOf(replacement);
  });
  const nodes = [...lowered.nodes];
  const fetches = new Map(
    [...lowered.fetches].map(([name, output]) => [
      name,
      typeOf(output).dtype === DataType.bfloat16
        ? conversions.of(output, DataType.float, (node) => nodes.push(node))
        : output,
    ]),
  );
  return { nodes, feeds: lowered.feeds, fetches };
}

/** Gradients of a picture's branches meet in additions, which are worth it; the LSTM's are small and keep float32. */
function additionOfImages(node: GraphNode): LowPrecision | undefined {
  return node.op === 'AddV2' && node.outputs[0]?.shape.length === 4 ? {} : undefined;
}

function readsBfloat16(node: GraphNode): boolean {
  return node.inputs.some((input) => typeOf(input).dtype === DataType.bfloat16);
}

function isFloat({ dtype }: { readonly dtype: DataType }): boolean {
  return dtype === DataType.float || dtype === DataType.bfloat16;
}

function positions(listed: readonly number[] | undefined, types: readonly { readonly dtype: DataType }[]): Set<number> {
  return new Set(listed ?? types.flatMap((type, i) => (isFloat(type) ? [i] : [])));
}

function lower(node: GraphNode, rule: LowPrecision): GraphNode {
  const low = positions(rule.outputs, node.outputs);
  const outputs = node.outputs.map((type, i) => (low.has(i) ? { ...type, dtype: DataType.bfloat16 } : type));
  const attributes = new Map<string, AttributeValue>(node.attributes);
  return { ...node, outputs, attributes: attributes.set('T', { type: 'type', value: DataType.bfloat16 }) };
}

/** Casts, each once. */
class Conversions {
  readonly #made = new Map<GraphNode, Map<string, Output>>();

  of(input: Output, dtype: DataType, emit: (node: GraphNode) => void): Output {
    const type = typeOf(input);
    if (type.dtype === dtype) return input;
    const key = `${input.index}/${dtype === DataType.bfloat16 ? 'bfloat16' : 'float32'}`;
    const ofNode = this.#made.get(input.node) ?? new Map<string, Output>();
    this.#made.set(input.node, ofNode);
    const known = ofNode.get(key);
    if (known !== undefined) return known;
    const name = `${input.node.name}/${key}`;
    const { value } = input.node;
    const node =
      value instanceof Float32Array && dtype === DataType.bfloat16
        ? constant(name, { shape: type.shape, dtype }, narrowed(value))
        : cast(name, input, dtype);
    emit(node);
    const output = { node, index: 0 };
    ofNode.set(key, output);
    return output;
  }
}

function narrowed(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  narrow(values, bits);
  return bits;
}

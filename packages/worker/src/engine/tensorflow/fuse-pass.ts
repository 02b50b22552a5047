import { DataType, type AttributeValue, type Graph, type GraphNode, outputsOf, rewrite, typeOf } from './graph.js';

/** Operations that take a bias and a ReLU along, and what TensorFlow calls them then. */
const fusedForms = new Map([
  ['Conv2D', '_FusedConv2D'],
  ['MatMul', '_FusedMatMul'],
]);

const oneDnnConvolution = '_MklNativeFusedConv2D';

/**
 * Convolution or product, bias and ReLU as one operation, where nothing else reads what lies between. TensorFlow's
 * remapper fuses graphs that have been placed on devices, which a session's have not been yet when it runs.
 *
 * @returns a graph whose replaced nodes are still there, unused, for `simplify`
 */
export function fuseBiases(graph: Graph): Graph {
  const uses = countUses(graph);
  return rewrite(graph, (node, emit) => {
    const before = node.inputs[0]?.node;
    const replacement =
      before === undefined || uses.get(before.name) !== 1
        ? undefined
        : (withBias(before, node) ?? withRelu(before, node));
    emit(replacement ?? node);
    return outputsOf(replacement ?? node);
  });
}

function withBias(product: GraphNode, node: GraphNode): GraphNode | undefined {
  const form = fusedForms.get(product.op);
  const bias = node.inputs[1];
  if (node.op !== 'BiasAdd' || form === undefined || bias === undefined) return undefined;
  const { dtype } = typeOf(bias);
  const attributes = new Map<string, AttributeValue>([
    ...product.attributes,
    ['num_args', { type: 'int', value: 1 }],
    ['fused_ops', { type: 'strings', value: ['BiasAdd'] }],
  ]);
  const fused = { name: node.name, inputs: [...product.inputs, bias], attributes, outputs: node.outputs };
  if (form === '_FusedMatMul') return { ...fused, op: form };
  attributes.set('TArgs', { type: 'types', value: [dtype] });
  if (dtype !== DataType.bfloat16) return { ...fused, op: form };
  // The generic form refuses bfloat16; oneDNN's own, which TensorFlow would make of it, takes it.
  attributes.delete('use_cudnn_on_gpu');
  attributes.set('_kernel', { type: 'string', value: 'MklNameChangeOp' });
  return { ...fused, op: oneDnnConvolution };
}

function withRelu(biased: GraphNode, node: GraphNode): GraphNode | undefined {
  const isFused = [...fusedForms.values(), oneDnnConvolution].includes(biased.op);
  if (node.op !== 'Relu' || !isFused) return undefined;
  const attributes = new Map(biased.attributes).set('fused_ops', { type: 'strings', value: ['BiasAdd', 'Relu'] });
  return { ...biased, name: node.name, attributes };
}

function countUses(graph: Graph): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  const used = [...graph.nodes.flatMap((node) => node.inputs), ...graph.fetches.values()];
  for (const { node } of used) uses.set(node.name, (uses.get(node.name) ?? 0) + 1);
  return uses;
}

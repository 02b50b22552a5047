import { type ConvLayer, type Network, type PoolLayer, walkNetwork } from '@showtell/shared/model/network.js';
import type { KerasGraph, KerasLayer } from './keras-graph.js';

/** The Keras layers that stand for one of ours. */
export interface MatchedLayer {
  readonly layer: ConvLayer;
  readonly conv: KerasLayer;
  readonly norm: KerasLayer;
}

export type Match =
  | { readonly layers: readonly MatchedLayer[] }
  /** How far the best attempt came from the last layer on, and where it ended. */
  | { readonly problem: string };

/** A network as an expression: what is computed from what. */
type Expression =
  | { readonly kind: 'image' }
  | { readonly kind: 'conv'; readonly layer: ConvLayer; readonly input: Expression }
  | { readonly kind: 'pool'; readonly layer: PoolLayer; readonly input: Expression }
  | { readonly kind: 'concat'; readonly inputs: readonly Expression[] }
  | { readonly kind: 'add' };

/**
 * Finds a network within a Keras graph by its structure. From a layer taken for the last one it goes backwards, in
 * step with the network's table: each layer must be of the kind, kernel, stride, padding and channels that the table
 * has, joined branches must come in the table's order, and what has one source here must have one there. Names and
 * numbers of Keras' layers do not enter, so it does not matter in which order they were made.
 */
export function matchNetwork(network: Network, depthMultiplier: number, graph: KerasGraph): Match {
  const last = expressionOf(network, depthMultiplier);
  let furthest: { readonly count: number; readonly problem: string } = { count: -1, problem: 'it has no layers' };
  for (const candidate of [...graph.values()].reverse()) {
    const attempt = new Attempt(graph);
    const problem = attempt.match(last, candidate.name);
    if (problem === null) return { layers: attempt.layers };
    if (attempt.layers.length > furthest.count) furthest = { count: attempt.layers.length, problem };
  }
  return { problem: furthest.problem };
}

function expressionOf(network: Network, depthMultiplier: number): Expression {
  return walkNetwork<Expression>(
    network,
    depthMultiplier,
    {
      conv: (layer, input) => ({ kind: 'conv', layer, input }),
      pool: (layer, input) => ({ kind: 'pool', layer, input }),
      concat: (inputs) => ({ kind: 'concat', inputs }),
      add: () => ({ kind: 'add' }),
    },
    { kind: 'image' },
  ).value;
}

class Attempt {
  readonly layers: MatchedLayer[] = [];
  /** Which Keras layer stands for an expression that was met before. */
  readonly #known = new Map<Expression, string>();

  constructor(private readonly graph: KerasGraph) {}

  /** @returns what does not fit, or null */
  match(wanted: Expression, name: string): string | null {
    const known = this.#known.get(wanted);
    if (known !== undefined) return known === name ? null : `${name} and ${known} should be one`;
    this.#known.set(wanted, name);
    const layer = this.graph.get(name);
    if (layer === undefined) return `there is no layer ${name}`;
    switch (wanted.kind) {
      case 'image':
        return layer.kind === 'InputLayer' || layer.inputs.length === 0 ? null : `${name} is not the input`;
      case 'conv':
        return this.#matchConv(wanted.layer, wanted.input, layer);
      case 'pool':
        return this.#matchPool(wanted.layer, wanted.input, layer);
      case 'concat': {
        if (layer.kind !== 'Concatenate') return `${name} is ${layer.kind}, not Concatenate`;
        if (layer.inputs.length !== wanted.inputs.length)
          return `${name} joins ${layer.inputs.length} branches, not ${wanted.inputs.length}`;
        for (const [i, branch] of wanted.inputs.entries()) {
          const problem = this.match(branch, layer.inputs[i] ?? '');
          if (problem !== null) return problem;
        }
        return null;
      }
      case 'add':
        return 'residual blocks are not looked for';
    }
  }

  /** Convolution, batch norm and ReLU, from the ReLU backwards. */
  #matchConv(layer: ConvLayer, input: Expression, relu: KerasLayer): string | null {
    if (!isRelu(relu)) return `${relu.name} is ${relu.kind}, not the ReLU of ${layer.name}`;
    const norm = this.graph.get(relu.inputs[0] ?? '');
    if (norm?.kind !== 'BatchNormalization') return `before ${relu.name} is no BatchNormalization`;
    const conv = this.graph.get(norm.inputs[0] ?? '');
    if (conv?.kind !== 'Conv2D') return `before ${norm.name} is no Conv2D`;
    const { config } = conv;
    const found = { channels: config['filters'], kernel: pair(config['kernel_size']), ...strideOf(config) };
    const wanted = {
      channels: layer.outputs,
      kernel: layer.kernel,
      stride: [layer.stride, layer.stride],
      padding: layer.padding,
    };
    if (JSON.stringify(found) !== JSON.stringify(wanted))
      return `${conv.name} is ${JSON.stringify(found)}, ${layer.name} ${JSON.stringify(wanted)}`;
    if (pair(config['dilation_rate'] ?? 1).join() !== '1,1') return `${conv.name} is dilated`;
    if (config['data_format'] === 'channels_first') return `${conv.name} has channels first`;
    if (!['linear', undefined, null].includes(config['activation'] as string | undefined | null))
      return `${conv.name} has an activation of its own`;
    this.layers.push({ layer, conv, norm });
    return this.match(input, conv.inputs[0] ?? '');
  }

  #matchPool(layer: PoolLayer, input: Expression, found: KerasLayer): string | null {
    const kind = layer.kind === 'max-pool' ? 'MaxPooling2D' : 'AveragePooling2D';
    if (found.kind !== kind) return `${found.name} is ${found.kind}, not ${kind}`;
    const is = { size: pair(found.config['pool_size']), ...strideOf(found.config) };
    const { size, stride, padding } = layer;
    const wanted = { size: [size, size], stride: [stride, stride], padding };
    if (JSON.stringify(is) !== JSON.stringify(wanted))
      return `${found.name} is ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`;
    return this.match(input, found.inputs[0] ?? '');
  }
}

function isRelu({ kind, config }: KerasLayer): boolean {
  if (kind === 'ReLU') return (config['max_value'] ?? null) === null;
  return kind === 'Activation' && config['activation'] === 'relu';
}

function strideOf(config: KerasLayer['config']): { stride: number[]; padding: string } {
  const { padding = 'valid' } = config;
  return {
    stride: pair(config['strides'] ?? 1),
    padding: typeof padding === 'string' ? padding.toUpperCase() : JSON.stringify(padding),
  };
}

function pair(value: unknown): number[] {
  return Array.isArray(value) ? (value as number[]) : [Number(value), Number(value)];
}

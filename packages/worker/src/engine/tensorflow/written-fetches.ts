import {
  constant,
  DataType,
  type Graph,
  type GraphNode,
  type Output,
  outputsOf,
  placeholder,
  typeOf,
} from './graph.js';

/** Smaller tensors are fetched as one: an operation each costs more than copying them. */
const smallElements = 8192;

/** The fetch that holds the small ones. */
export const gatheredKey = 'gathered';

/** Where a small tensor stands in the gathered fetch. */
export interface Gathered {
  readonly key: string;
  readonly offset: number;
  readonly size: number;
}

export interface WrittenFetches {
  readonly graph: Graph;
  /** Feeds for the memory of large ones. */
  readonly targets: ReadonlyMap<string, GraphNode>;
  readonly gathered: readonly Gathered[];
}

/**
 * Has fetches written into memory of the caller's. `InplaceUpdate` aliases its first input (tensorflow/core/kernels/
 * inplace_ops.cc), so a feed of that memory, updated in all its rows by the fetched tensor, is where the tensor ends up:
 * 64 MB take 8 ms so and 35 ms by a fetch. What is still fetched waits for the updates.
 *
 * @param gatherUpTo elements of the largest tensor that is fetched with the small ones
 */
export function writeInPlace(graph: Graph, written: readonly string[], gatherUpTo = smallElements): WrittenFetches {
  if (written.length === 0) return { graph, targets: new Map(), gathered: [] };
  const fetches = new Map(graph.fetches);
  const builder = new Builder(graph.nodes);
  const targets = new Map<string, GraphNode>();
  const updates: GraphNode[] = [];
  const gathered: Gathered[] = [];
  const small: Output[] = [];
  let offset = 0;
  for (const key of written) {
    const source = fetches.get(key);
    if (source === undefined) throw new RangeError(`${key} is not fetched`);
    fetches.delete(key);
    const size = sizeOf(source);
    if (size <= gatherUpTo) {
      small.push(builder.flat(source));
      gathered.push({ key, offset, size });
      offset += size;
    } else {
      const { target, update } = builder.update(key, source);
      targets.set(key, target);
      updates.push(update);
    }
  }
  if (small.length > 0) fetches.set(gatheredKey, builder.concat(small, offset));
  const [last, ...others] = fetches;
  if (last === undefined) throw new RangeError('a graph that writes must fetch something besides');
  const [key, output] = last;
  const waiting = new Map([[key, builder.after(output, updates)], ...others]);
  return { graph: { nodes: builder.nodes, feeds: graph.feeds, fetches: waiting }, targets, gathered };
}

function sizeOf(output: Output): number {
  return typeOf(output).shape.reduce((product, size) => product * size, 1);
}

class Builder {
  readonly nodes: GraphNode[];
  readonly #constants = new Map<string, Output>();

  constructor(nodes: readonly GraphNode[]) {
    this.nodes = [...nodes];
  }

  /** Pictures' weights row by row of their first dimension, which is short; matrices as one row. */
  update(key: string, source: Output): { target: GraphNode; update: GraphNode } {
    const { shape } = typeOf(source);
    const value = shape.length === 4 ? source : this.#reshape(source, [1, sizeOf(source)]);
    const type = typeOf(value);
    const target = placeholder(`write/into/${key}`, type);
    this.nodes.push(target);
    const rows = this.#integers(Array.from({ length: type.shape[0] ?? 1 }, (_, row) => row));
    const update: GraphNode = {
      name: `write/${key}`,
      op: 'InplaceUpdate',
      inputs: [{ node: target, index: 0 }, rows, value],
      attributes: new Map([['T', { type: 'type', value: type.dtype }]]),
      outputs: [type],
    };
    this.nodes.push(update);
    return { target, update };
  }

  flat(source: Output): Output {
    return typeOf(source).shape.length === 1 ? source : this.#reshape(source, [sizeOf(source)]);
  }

  concat(parts: readonly Output[], size: number): Output {
    const [only, second] = parts;
    if (only !== undefined && second === undefined) return only;
    const axis = this.#integers([0], []);
    return this.#add({
      name: `write/${gatheredKey}`,
      op: 'ConcatV2',
      inputs: [...parts, axis],
      attributes: new Map([
        ['N', { type: 'int', value: parts.length }],
        ['T', { type: 'type', value: DataType.float }],
        ['Tidx', { type: 'type', value: DataType.int32 }],
      ]),
      outputs: [{ shape: [size], dtype: DataType.float }],
    });
  }

  after(output: Output, controls: readonly GraphNode[]): Output {
    const type = typeOf(output);
    const node: GraphNode = {
      name: 'write/done',
      op: 'Identity',
      inputs: [output],
      controls,
      attributes: new Map([['T', { type: 'type', value: type.dtype }]]),
      outputs: [type],
    };
    this.nodes.push(node);
    return outputsOf(node)[0] ?? output;
  }

  #reshape(source: Output, shape: readonly number[]): Output {
    const { dtype } = typeOf(source);
    return this.#add({
      name: `write/flat_${this.nodes.length}`,
      op: 'Reshape',
      inputs: [source, this.#integers(shape)],
      attributes: new Map([
        ['T', { type: 'type', value: dtype }],
        ['Tshape', { type: 'type', value: DataType.int32 }],
      ]),
      outputs: [{ shape, dtype }],
    });
  }

  #integers(values: readonly number[], shape: readonly number[] = [values.length]): Output {
    const key = `${shape.length} ${values.join()}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = `write/integers_${this.nodes.length}`;
    const made = this.#add(constant(name, { shape, dtype: DataType.int32 }, Int32Array.from(values)));
    this.#constants.set(key, made);
    return made;
  }

  #add(node: GraphNode): Output {
    this.nodes.push(node);
    return { node, index: 0 };
  }
}

import type { Values } from '../executor.js';
import type { Tensorflow } from './addon.js';
import { DataType, type Graph, type GraphNode, typeOf } from './graph.js';
import { loadGraph } from './load-graph.js';
import { type Gathered, gatheredKey, writeInPlace } from './written-fetches.js';

export interface CompileOptions {
  /**
   * Fetches whose values are written into buffers that the caller gives at each run, instead of new arrays: for
   * gradients, which are large and go to shared memory anyway.
   */
  readonly written?: readonly string[];
}

/**
 * A graph as one session call. TensorFlow plans memory, fuses and schedules the whole of it; nothing of a run passes
 * through JavaScript but the calls that hand over feeds and fetches. Feeds on memory aligned to 64 bytes are not copied.
 */
export class CompiledGraph {
  readonly #tensorflow: Tensorflow;
  readonly #model: number;
  readonly #feeds: readonly { readonly key: string; readonly name: string; readonly node: GraphNode }[];
  readonly #written: readonly { readonly key: string; readonly name: string; readonly node: GraphNode }[];
  readonly #gathered: readonly Gathered[];
  readonly #returned: readonly { readonly key: string; readonly name: string }[];

  /** @throws Error from TensorFlow when it refuses the graph */
  constructor(tensorflow: Tensorflow, graph: Graph, options: CompileOptions = {}) {
    const {
      graph: closed,
      targets,
      gathered,
    } = writeInPlace(
      graph,
      options.written ?? [],
      // A GPU's tensors are not the caller's memory: all of them come in one copy.
      tensorflow.versions.engine === 'cuda' ? Infinity : undefined,
    );
    this.#tensorflow = tensorflow;
    this.#model = loadGraph(tensorflow, closed);
    const named = ([key, node]: [string, GraphNode]) => ({ key, name: `${node.name}:0`, node });
    this.#feeds = [...graph.feeds].map(named);
    this.#written = [...targets].map(named);
    this.#gathered = gathered;
    this.#returned = [...closed.fetches].map(([key, { node, index }]) => ({ key, name: `${node.name}:${index}` }));
  }

  /**
   * @param inputs every feed's values
   * @param into where written fetches go; memory that begins at a multiple of 64 bytes
   * @returns the other fetches, in arrays of their own
   */
  run(
    inputs: Readonly<Record<string, Values>>,
    into: Readonly<Record<string, Float32Array>> = {},
  ): Record<string, Values> {
    const { binding } = this.#tensorflow;
    const feeds = [
      ...this.#feeds.map((feed) => ({ ...feed, values: given(inputs, feed.key) })),
      ...this.#written.map((feed) => ({ ...feed, values: aligned(this.#tensorflow, given(into, feed.key), feed.key) })),
    ];
    const ids: number[] = [];
    try {
      for (const { node, values } of feeds) {
        const { shape, dtype } = typeOf({ node, index: 0 });
        ids.push(binding.createTensor([...shape], dtype, values));
      }
      const outputs = binding.runSavedModel(
        this.#model,
        ids,
        feeds.map((feed) => feed.name).join(),
        this.#returned.map((fetch) => fetch.name).join(),
      );
      ids.push(...outputs.map((output) => output.id));
      const results = Object.fromEntries(
        this.#returned.map(({ key }, i) => [key, binding.tensorDataSync(outputs[i]?.id ?? -1) as Values]),
      );
      const { [gatheredKey]: small, ...rest } = results;
      for (const { key, offset, size } of this.#gathered)
        given(into, key).set((small as Float32Array).subarray(offset, offset + size));
      return rest;
    } finally {
      for (const id of ids) binding.deleteTensor(id);
    }
  }

  close(): void {
    this.#tensorflow.binding.deleteSavedModel(this.#model);
  }
}

function given<T>(values: Readonly<Record<string, T>>, key: string): T {
  const value = values[key];
  if (value === undefined) throw new RangeError(`no values for ${key}`);
  return value;
}

/** Memory by whether TensorFlow computes on it in place; found out once each, by writing to it. */
const inPlace = new WeakMap<object, boolean>();

/** @throws RangeError when TensorFlow would write to a copy of the memory */
function aligned(tensorflow: Tensorflow, values: Float32Array, key: string): Float32Array {
  let known = inPlace.get(values.buffer);
  if (known === undefined) {
    known = writesInPlace(tensorflow, values);
    inPlace.set(values.buffer, known);
  }
  if (!known || values.byteOffset % 64 !== 0)
    throw new RangeError(`the memory for ${key} is not aligned to 64 bytes: take it from allocateShared`);
  return values;
}

function writesInPlace({ binding }: Tensorflow, values: Float32Array): boolean {
  const probe = new Float32Array(values.buffer, 0, 1);
  const before = probe[0] as number;
  const id = binding.createTensor([1], DataType.float, probe);
  const mark = before === 1 ? 2 : 1;
  probe[0] = mark;
  const [seen] = binding.tensorDataSync(id);
  probe[0] = before;
  binding.deleteTensor(id);
  return seen === mark;
}

import type * as tfjs from '@tensorflow/tfjs';
import type { TFEOpAttr, TFJSBinding } from '#tfjs-node/tfjs_binding.js';
import type { Feed } from '../executor.js';
import type { Tensorflow } from './addon.js';
import {
  constant,
  DataType,
  placeholder,
  type AttributeValue,
  type ConstantValue,
  type Graph,
  type GraphNode,
  type Output,
} from './graph.js';
import { replaceGather } from './gather-kernel.js';
import { infer } from './shapes.js';

/** The part of tfjs-node's backend that recording stands in for; two of it are private there (4.22). */
interface RecordableBackend {
  binding: TFJSBinding;
  readonly tensorMap: { get(dataId: object): StoredTensor };
  getInputTensorIds(tensors: readonly (tfjs.TensorInfo | Int64Scalar)[]): number[];
  createOutputTensor(metadata: TensorMetadata): tfjs.Tensor;
}

/** What the addon says of an operation's output. */
interface TensorMetadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

interface StoredTensor {
  readonly shape: readonly number[];
  readonly dtype: number;
  /** Values that were not yet handed to TensorFlow; null when `id` names them there. */
  readonly values: ConstantValue | readonly boolean[] | null;
  readonly id: number;
}

/** tfjs-node's int64 scalar: two int32 words. */
interface Int64Scalar {
  readonly valueArray: Int32Array;
}

type FeedTensors<F extends Record<string, Feed>> = { readonly [name in keyof F]: tfjs.Tensor };

/**
 * Notes what tfjs would have TensorFlow compute, without computing anything: while `build` runs, the backend's binding
 * answers every operation with a new id and the shape that a table gives. So recording costs neither time nor memory,
 * no number of it can be used by mistake, and randomness or a value read in between is an error.
 *
 * @param build given a tensor per feed, returns the tensors to fetch. Tensors made outside become constants.
 * @throws RangeError naming the operation when there is no shape function for it
 */
export function recordGraph<F extends Record<string, Feed>>(
  tensorflow: Pick<Tensorflow, 'tf' | 'backend'>,
  feeds: F,
  build: (inputs: FeedTensors<F>) => Readonly<Record<string, tfjs.Tensor>>,
): Graph {
  replaceGather(tensorflow);
  const backend = tensorflow.backend as unknown as RecordableBackend;
  const recorder = new Recorder(backend);
  const { binding } = backend;
  const engine = tensorflow.tf.engine();
  engine.startScope('record');
  // Own properties that hide the prototype's methods; deleting them puts the backend back as it was.
  backend.binding = recorder.binding();
  backend.getInputTensorIds = (tensors) => tensors.map((tensor) => recorder.idOf(tensor));
  try {
    const inputs = Object.fromEntries(
      Object.entries(feeds).map(([name, feed]) => [name, recorder.feed(name, feed)]),
    ) as FeedTensors<F>;
    const fetched = Object.entries(build(inputs));
    const fetches = new Map(fetched.map(([name, tensor]) => [name, recorder.outputOf(tensor)]));
    // Those that were kept outlive the scope.
    for (const [, tensor] of fetched) tensor.dispose();
    return { nodes: recorder.nodes, feeds: recorder.feeds, fetches };
  } finally {
    // Tensors of the recording are disposed while the binding that knows their ids is still there.
    engine.endScope();
    backend.binding = binding;
    Reflect.deleteProperty(backend, 'getInputTensorIds');
  }
}

/** Ids that the addon, counting from 0, does not reach. */
const firstRecordedId = 0x4000_0000;

class Recorder {
  readonly nodes: GraphNode[] = [];
  readonly feeds = new Map<string, GraphNode>();
  readonly #outputs: Output[] = [];
  /** Constants made of tensors, so that one used often is one node; by data, which the key keeps from being reused. */
  readonly #constants = new Map<object, number>();
  readonly #backend: RecordableBackend;
  readonly #real: TFJSBinding;

  constructor(backend: RecordableBackend) {
    this.#backend = backend;
    this.#real = backend.binding;
  }

  binding(): TFJSBinding {
    const real = this.#real;
    const refuse = (what: string) => (): never => {
      throw new TypeError(`${what} while a graph is recorded`);
    };
    const copy = Object.fromEntries(
      Object.getOwnPropertyNames(real).map((name) => [name, Reflect.get(real, name) as unknown]),
    ) as unknown as TFJSBinding;
    return Object.assign(copy, {
      createTensor: refuse('a tensor is created beside the backend'),
      loadSavedModel: refuse('a model is loaded'),
      runSavedModel: refuse('a model is run'),
      tensorDataSync: refuse('a value is read'),
      deleteTensor: (id: number) => {
        if (id < firstRecordedId) real.deleteTensor(id);
      },
      executeOp: (op: string, attributes: readonly TFEOpAttr[], inputs: readonly number[], outputs: number) =>
        this.#execute(op, attributes, inputs, outputs),
    });
  }

  feed(name: string, { shape, dtype }: Feed): tfjs.Tensor {
    const type = { shape, dtype: dtype === 'int32' ? DataType.int32 : DataType.float };
    const node = placeholder(`feed/${name}`, type);
    this.nodes.push(node);
    this.feeds.set(name, node);
    return this.#backend.createOutputTensor(this.#metadata({ node, index: 0 }));
  }

  idOf(tensor: tfjs.TensorInfo | Int64Scalar): number {
    if ('valueArray' in tensor) {
      const value = new BigInt64Array(tensor.valueArray.slice().buffer);
      return this.#add(constant(`constant_${this.nodes.length}`, { shape: [], dtype: DataType.int64 }, value));
    }
    const stored = this.#backend.tensorMap.get(tensor.dataId);
    if (stored.values === null && stored.id >= firstRecordedId) return stored.id;
    const known = this.#constants.get(tensor.dataId);
    if (known !== undefined) return known;
    const values = stored.values ?? this.#real.tensorDataSync(stored.id);
    const type = { shape: [...stored.shape], dtype: stored.dtype as DataType };
    const bytes =
      Array.isArray(values) || type.dtype === DataType.bool ? Uint8Array.from(values as ArrayLike<number>) : values;
    const id = this.#add(constant(`constant_${this.nodes.length}`, type, bytes as ConstantValue));
    this.#constants.set(tensor.dataId, id);
    return id;
  }

  outputOf(tensor: tfjs.TensorInfo): Output {
    return this.#output(this.idOf(tensor));
  }

  #execute(op: string, recorded: readonly TFEOpAttr[], ids: readonly number[], outputCount: number): TensorMetadata[] {
    const inputs = ids.map((id) => this.#output(id));
    const stated = new Map(recorded.map((attribute) => [attribute.name, this.#attribute(attribute)]));
    const { outputs, attributes } = infer(op, inputs, stated, outputCount);
    const node: GraphNode = { name: `${op}_${this.nodes.length}`, op, inputs, attributes, outputs };
    this.nodes.push(node);
    return outputs.map((_, index) => this.#metadata({ node, index }));
  }

  #add(node: GraphNode): number {
    this.nodes.push(node);
    return this.#metadata({ node, index: 0 }).id;
  }

  #metadata(output: Output): TensorMetadata {
    const id = firstRecordedId + this.#outputs.length;
    this.#outputs.push(output);
    const { shape, dtype } = output.node.outputs[output.index] ?? { shape: [], dtype: DataType.float };
    return { id, shape: [...shape], dtype };
  }

  #output(id: number): Output {
    const output = this.#outputs[id - firstRecordedId];
    if (output === undefined) throw new RangeError(`tensor ${id} was not made while recording`);
    return output;
  }

  #attribute({ name, type, value }: TFEOpAttr): AttributeValue {
    const binding = this.#real;
    switch (type) {
      case binding.TF_ATTR_STRING:
        return { type: 'string', value: value as string };
      case binding.TF_ATTR_INT:
        return Array.isArray(value)
          ? { type: 'ints', value: value as number[] }
          : { type: 'int', value: value as number };
      case binding.TF_ATTR_FLOAT:
        return { type: 'float', value: value as number };
      case binding.TF_ATTR_BOOL:
        return { type: 'bool', value: value as boolean };
      case binding.TF_ATTR_TYPE:
        return { type: 'type', value: value as DataType };
      case binding.TF_ATTR_SHAPE:
        return { type: 'shape', value: value as number[] };
      default:
        throw new RangeError(`attribute ${name} has the unknown type ${type}`);
    }
  }
}

import { constants } from 'node:os';
import { ShowtellError } from '@showtell/shared/errors.js';
import { RTLD_NODELETE } from '../engine/tensorflow/addon.js';
import { engineFolder } from '../engine/tensorflow/engine-folder.js';
import {
  DataType,
  placeholder,
  type AttributeValue,
  type Graph,
  type GraphNode,
  type TensorType,
} from '../engine/tensorflow/graph.js';
import { loadGraph, type LoadingBinding } from '../engine/tensorflow/load-graph.js';
import type { ImageDecoder } from './image-decoder.js';
import type { Picture } from './picture.js';

/** TensorFlow's decoder answers at once. */
export interface TensorflowDecoder extends ImageDecoder {
  decode(jpeg: Uint8Array, where: string): Picture;
}

/** What is used of the addon to decode. */
export interface DecodingBinding extends LoadingBinding {
  runSavedModel(model: number, inputs: readonly number[], feeds: string, fetches: string): { readonly id: number }[];
  /** Of a tensor of strings: the bytes of each. */
  tensorDataSync(tensor: number): Uint8Array[] | Int32Array;
}

/**
 * TensorFlow's own DecodeJpeg with its defaults, so that pictures have the bits im2txt's had: the fast integer DCT,
 * three channels whatever the file has, colour profile and orientation ignored, truncated files refused. Decodes 1.5
 * times as many 640 × 480 photographs a second as sharp, whose accurate DCT gives other pixels (`npm run bench`).
 *
 * Only the addon is loaded, tfjs is not; and a graph is run, since the addon's calls of single operations share a table
 * among threads without a lock.
 *
 * @throws ShowtellError `engine/not-set-up`
 */
export function openImageDecoder(kind: 'cpu' | 'cuda'): TensorflowDecoder {
  const binding = openDecodingBinding(kind);
  const { graph, feed, fetches } = decodingGraph();
  const model = loadGraph({ binding }, graph);

  const decode = (jpeg: Uint8Array, where: string): Picture => {
    const tensors: number[] = [];
    try {
      const contents = binding.createTensor([], DataType.string, [jpeg]);
      tensors.push(contents);
      const outputs = binding.runSavedModel(model, [contents], feed, fetches).map(({ id }) => id);
      tensors.push(...outputs);
      const [shape, protos] = outputs.map((id) => binding.tensorDataSync(id)) as [Int32Array, Uint8Array[]];
      const [height = 0, width = 0] = shape;
      const [proto] = protos;
      if (proto === undefined || height * width === 0) throw new RangeError('it has no pixels');
      return { width, height, rgb: proto.subarray(proto.length - height * width * 3) };
    } catch (cause) {
      throw new ShowtellError('input/picture-undecodable', { where, detail: reasonOf(cause) }, { cause });
    } finally {
      for (const tensor of tensors) binding.deleteTensor(tensor);
    }
  };
  return { decode };
}

/** The engine's addon alone, in this thread. @throws ShowtellError `engine/not-set-up` */
export function openDecodingBinding(kind: 'cpu' | 'cuda'): DecodingBinding {
  const { addon, addonFolder } = engineFolder(kind);
  const holder: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(holder, addon, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  } catch (cause) {
    const command = `npx showtell engine setup${kind === 'cuda' ? ' --engine cuda' : ''}`;
    throw new ShowtellError('engine/not-set-up', { folder: addonFolder, command }, { cause });
  }
  return holder.exports as DecodingBinding;
}

/**
 * JPEG to shape and pixels. The addon reads no uint8 tensors, and widening to int32 takes three times as long as going
 * through the bytes of a TensorProto, whose last field is the content.
 */
function decodingGraph(): { graph: Graph; feed: string; fetches: string } {
  const unknown: readonly number[] = [];
  const node = (
    name: string,
    op: string,
    input: GraphNode,
    attributes: Readonly<Record<string, AttributeValue>>,
    output: TensorType,
  ): GraphNode => ({
    name,
    op,
    inputs: [{ node: input, index: 0 }],
    attributes: new Map(Object.entries(attributes)),
    outputs: [output],
  });
  const jpeg = placeholder('jpeg', { shape: [], dtype: DataType.string });
  const pixels = node(
    'pixels',
    'DecodeJpeg',
    jpeg,
    {
      channels: { type: 'int', value: 3 },
      ratio: { type: 'int', value: 1 },
      fancy_upscaling: { type: 'bool', value: true },
      try_recover_truncated: { type: 'bool', value: false },
      acceptable_fraction: { type: 'float', value: 1 },
      dct_method: { type: 'string', value: '' },
    },
    { shape: unknown, dtype: DataType.uint8 },
  );
  const uint8: AttributeValue = { type: 'type', value: DataType.uint8 };
  const int32: AttributeValue = { type: 'type', value: DataType.int32 };
  const shape = node('shape', 'Shape', pixels, { T: uint8, out_type: int32 }, { shape: [3], dtype: DataType.int32 });
  const proto = node('proto', 'SerializeTensor', pixels, { T: uint8 }, { shape: [], dtype: DataType.string });
  const graph: Graph = {
    nodes: [jpeg, pixels, shape, proto],
    feeds: new Map([['jpeg', jpeg]]),
    fetches: new Map([shape, proto].map((fetch) => [fetch.name, { node: fetch, index: 0 }])),
  };
  return { graph, feed: 'jpeg:0', fetches: 'shape:0,proto:0' };
}

/** Why TensorFlow refused a picture: the addon's messages are "…\nMessage: …". */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const [reason = ''] = (/(?:Message: |run with error: )([^\n]*)/.exec(text)?.[1] ?? text).split('\n');
  return reason.trim().replace(/\.$/, '');
}

import { type AttributeValue, cast, DataType, type GraphNode, placeholder } from '../engine/tensorflow/graph.js';
import { loadGraph } from '../engine/tensorflow/load-graph.js';
import { openDecodingBinding } from '../input/decode-image.js';
import type { Picture } from '../input/picture.js';

/** What is used of the addon here: tensors of numbers in, tensors of bytes out. */
interface EncodingBinding {
  createTensor(shape: readonly number[], dtype: number, values: Int32Array): number;
  runSavedModel(model: number, inputs: readonly number[], feeds: string, fetches: string): { readonly id: number }[];
  tensorDataSync(tensor: number): Uint8Array[];
  deleteTensor(tensor: number): void;
}

/** Turns small pictures into JPEGs by TensorFlow's EncodeJpeg. A thread opens its own. */
export function openJpegEncoder(kind: 'cpu' | 'cuda', quality: number): (picture: Picture) => Uint8Array {
  const loading = openDecodingBinding(kind);
  const binding = loading as unknown as EncodingBinding;
  // The addon takes no bytes as numbers, so they are widened on the way in: for thumbnails that costs nothing.
  const wide = placeholder('wide', { shape: [-1, -1, 3], dtype: DataType.int32 });
  const pixels = cast('pixels', { node: wide, index: 0 }, DataType.uint8);
  const text = (value: string): AttributeValue => ({ type: 'string', value });
  const int = (value: number): AttributeValue => ({ type: 'int', value });
  const bool = (value: boolean): AttributeValue => ({ type: 'bool', value });
  const jpeg: GraphNode = {
    name: 'jpeg',
    op: 'EncodeJpeg',
    inputs: [{ node: pixels, index: 0 }],
    attributes: new Map([
      ['format', text('rgb')],
      ['quality', int(quality)],
      ['progressive', bool(false)],
      ['optimize_size', bool(true)],
      ['chroma_downsampling', bool(true)],
      ['density_unit', text('in')],
      ['x_density', int(300)],
      ['y_density', int(300)],
      ['xmp_metadata', text('')],
    ]),
    outputs: [{ shape: [], dtype: DataType.string }],
  };
  const model = loadGraph({ binding: loading }, { nodes: [wide, pixels, jpeg], feeds: new Map(), fetches: new Map() });

  return ({ width, height, rgb }) => {
    const tensors = [binding.createTensor([height, width, 3], DataType.int32, Int32Array.from(rgb))];
    try {
      const outputs = binding.runSavedModel(model, tensors, 'wide:0', 'jpeg:0').map(({ id }) => id);
      tensors.push(...outputs);
      const [bytes] = binding.tensorDataSync(outputs[0] as number);
      if (bytes === undefined) throw new RangeError('EncodeJpeg gave nothing');
      return bytes.slice();
    } finally {
      for (const tensor of tensors) binding.deleteTensor(tensor);
    }
  };
}

import { ShowtellError } from '@showtell/shared/errors.js';
import { type AttributeValue, DataType, type GraphNode, placeholder } from '../engine/tensorflow/graph.js';
import { loadGraph } from '../engine/tensorflow/load-graph.js';
import { type DecodingBinding, openDecodingBinding, openImageDecoder, reasonOf } from './decode-image.js';
import { firstFrameOf, type ImageFormat, type ImageHeader, readImageHeader } from './image-header.js';
import { orient } from './orient.js';
import type { Picture } from './picture.js';

export interface PictureRules {
  /** Pictures of more pixels are refused by their header, before anything is decoded. */
  readonly maxMegapixels: number;
  /** For messages: the option that raises it. */
  readonly setting: string;
  /** Whether a JPEG is turned upright by its EXIF tag. Training and im2txt look at pixels as they are stored. */
  readonly upright: boolean;
}

/** A picture people gave, of any known format. */
export interface DecodedPicture extends Picture {
  readonly format: ImageFormat;
  /** What EXIF says, whether or not the picture was turned by it. */
  readonly orientation: number;
}

export type PictureDecoder = (bytes: Uint8Array, where: string, rules: PictureRules) => DecodedPicture;

/**
 * Decodes what people have: JPEG exactly as training does (grey and CMYK become RGB), of PNG and WebP the 8 higher bits on
 * white where they are transparent, of a GIF the first frame, and BMP. A thread opens its own.
 *
 * The decoder throws ShowtellError `picture/unknown-format`, `picture/too-large`, `input/picture-undecodable`.
 * @throws ShowtellError `engine/not-set-up`
 */
export function openPictureDecoder(kind: 'cpu' | 'cuda'): PictureDecoder {
  const jpegs = openImageDecoder(kind);
  const binding = openDecodingBinding(kind);
  const others = new Map<Operation, (bytes: Uint8Array) => Picture>();
  const decoderOf = (operation: Operation): ((bytes: Uint8Array) => Picture) => {
    const known = others.get(operation) ?? openOperation(binding, operation);
    others.set(operation, known);
    return known;
  };

  return (bytes, where, rules) => {
    const { format, orientation, transparent } = headerOf(bytes, where, rules);
    try {
      const stored =
        format === 'jpeg'
          ? jpegs.decode(bytes, where)
          : decoderOf(transparent ? 'transparent png' : format)(format === 'gif' ? firstFrameOf(bytes) : bytes);
      const picture = rules.upright ? orient(stored, orientation) : stored;
      return { ...picture, format, orientation };
    } catch (cause) {
      if (cause instanceof ShowtellError) throw cause;
      throw new ShowtellError('input/picture-undecodable', { where, detail: reasonOf(cause) }, { cause });
    }
  };
}

/**
 * What a picture's first bytes tell, where the rules allow it to be decoded.
 * @throws ShowtellError `picture/unknown-format`, `picture/too-large`
 */
export function headerOf(bytes: Uint8Array, where: string, { maxMegapixels, setting }: PictureRules): ImageHeader {
  const header = readImageHeader(bytes);
  if ('foreign' in header) throw new ShowtellError('picture/unknown-format', { where, found: header.foreign });
  const { format, width, height, animated } = header;
  if (animated) throw new ShowtellError('picture/unknown-format', { where, found: `an animated ${format}` });
  if (width * height > maxMegapixels * 1_000_000)
    throw new ShowtellError('picture/too-large', { where, width, height, maxMegapixels, setting });
  return header;
}

const uint8: AttributeValue = { type: 'type', value: DataType.uint8 };
const int = (value: number): AttributeValue => ({ type: 'int', value });

/**
 * TensorFlow's operation for each format. A PNG without transparency is not asked for any: of palettes below 8 bits
 * DecodePng then makes nearly all of the picture transparent.
 */
const operations = {
  png: { op: 'DecodePng', attributes: { channels: int(3), dtype: uint8 } },
  'transparent png': { op: 'DecodePng', attributes: { channels: int(4), dtype: uint8 } },
  // With or without transparency, as the file has it: it converts between the two for nobody.
  webp: { op: 'DecodeWebP', attributes: { channels: int(0), dtype: uint8 } },
  gif: { op: 'DecodeGif', attributes: {} },
  bmp: {
    op: 'DecodeImage',
    attributes: { channels: int(3), dtype: uint8, expand_animations: { type: 'bool', value: false } },
  },
} as const satisfies Record<string, { op: string; attributes: Record<string, AttributeValue> }>;
type Operation = keyof typeof operations;

/** A graph of one operation: bytes to shape and pixels. The pixels come as the tail of a TensorProto, as for JPEG. */
function openOperation(binding: DecodingBinding, operation: Operation): (bytes: Uint8Array) => Picture {
  const { op, attributes } = operations[operation];
  const contents = placeholder('contents', { shape: [], dtype: DataType.string });
  const node = (name: string, kind: string, input: GraphNode, of: Record<string, AttributeValue>, dtype: DataType) => ({
    name,
    op: kind,
    inputs: [{ node: input, index: 0 }],
    attributes: new Map(Object.entries(of)),
    outputs: [{ shape: [], dtype }],
  });
  const int32: AttributeValue = { type: 'type', value: DataType.int32 };
  const pixels = node('pixels', op, contents, attributes, DataType.uint8);
  const shape = node('shape', 'Shape', pixels, { T: uint8, out_type: int32 }, DataType.int32);
  const proto = node('proto', 'SerializeTensor', pixels, { T: uint8 }, DataType.string);
  const nodes = [contents, pixels, shape, proto];
  const model = loadGraph({ binding }, { nodes, feeds: new Map(), fetches: new Map() });

  return (bytes) => {
    const tensors: number[] = [];
    try {
      const fed = binding.createTensor([], DataType.string, [bytes]);
      tensors.push(fed);
      const outputs = binding.runSavedModel(model, [fed], 'contents:0', 'shape:0,proto:0').map(({ id }) => id);
      tensors.push(...outputs);
      const [sizes, protos] = outputs.map((id) => binding.tensorDataSync(id)) as [Int32Array, Uint8Array[]];
      // An animation's frames come first.
      const [height = 0, width = 0, channels = 0] = sizes.slice(-3);
      const frame = height * width * channels;
      const [tensor] = protos;
      if (tensor === undefined || frame === 0) throw new RangeError('it has no pixels');
      const frames = sizes.length === 4 ? (sizes[0] as number) : 1;
      const first = tensor.subarray(tensor.length - frames * frame).subarray(0, frame);
      return { width, height, rgb: channels === 4 ? onWhite(first) : first };
    } finally {
      for (const tensor of tensors) binding.deleteTensor(tensor);
    }
  };
}

/** Red, green, blue and opacity → red, green, blue before a white wall. */
function onWhite(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const opacity = rgba[from + 3] as number;
    for (let c = 0; c < 3; c++) {
      const light = (rgba[from + c] as number) * opacity + 255 * (255 - opacity);
      rgb[to++] = Math.floor((light + 127) / 255);
    }
  }
  return rgb;
}

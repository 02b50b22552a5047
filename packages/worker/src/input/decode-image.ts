import { constants } from 'node:os';
import { ShowtellError } from '@showtell/shared/errors.js';
import { RTLD_NODELETE } from '../engine/tensorflow/addon.js';
import { engineFolder } from '../engine/tensorflow/engine-folder.js';
import type { Picture } from './picture.js';

/** Turns JPEG bytes into pixels. Not safe for use from several threads at once: each opens its own. */
export interface ImageDecoder {
  /**
   * @param where names the picture in messages.
   * @throws ShowtellError `input/picture-undecodable`
   */
  decode(jpeg: Uint8Array, where: string): Picture;
}

/**
 * TensorFlow's own DecodeJpeg with its defaults, so that pictures have the bits im2txt's had: the fast integer DCT,
 * three channels whatever the file has, colour profile and orientation ignored, truncated files refused. Decodes 1.5
 * times as many 640 × 480 photographs a second as sharp, whose accurate DCT gives other pixels (`npm run bench`).
 *
 * Only the addon is loaded, tfjs is not.
 *
 * @throws ShowtellError `engine/not-set-up`
 */
export function openImageDecoder(kind: 'cpu' | 'cuda'): ImageDecoder {
  const { addon, addonFolder } = engineFolder(kind);
  const holder: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(holder, addon, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  } catch (cause) {
    const command = `npx showtell engine setup${kind === 'cuda' ? ' --engine cuda' : ''}`;
    throw new ShowtellError('engine/not-set-up', { folder: addonFolder, command }, { cause });
  }
  const binding = holder.exports as DecodingBinding;
  const decodeAttributes = jpegAttributes(binding);
  const serializeAttributes = [{ name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_UINT8 }];

  const decode = (jpeg: Uint8Array, where: string): Picture => {
    const tensors: number[] = [];
    const run = (name: string, attributes: readonly Attribute[], input: number) => {
      const [output] = binding.executeOp(name, attributes, [input], 1);
      if (output === undefined) throw new RangeError(`${name} gave nothing`);
      tensors.push(output.id);
      return output;
    };
    try {
      const contents = binding.createTensor([], binding.TF_STRING, [jpeg]);
      tensors.push(contents);
      const pixels = run('DecodeJpeg', decodeAttributes, contents);
      // The addon reads no uint8 tensors; widening to int32 takes three times as long as going through the bytes of a
      // TensorProto, whose last field is the content.
      const [proto] = binding.tensorDataSync(run('SerializeTensor', serializeAttributes, pixels.id).id);
      const [height = 0, width = 0] = pixels.shape;
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

interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: string | number | boolean;
}

/** What is used of the addon, as it is: tfjs's own declaration knows no tensors of bytes. */
interface DecodingBinding {
  createTensor(shape: readonly number[], dtype: number, values: readonly Uint8Array[]): number;
  executeOp(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly number[],
    outputs: number,
  ): { readonly id: number; readonly shape: readonly number[] }[];
  /** Of a tensor of strings: the bytes of each. */
  tensorDataSync(tensor: number): Uint8Array[];
  deleteTensor(tensor: number): void;
  readonly TF_STRING: number;
  readonly TF_UINT8: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_TYPE: number;
}

function jpegAttributes(binding: DecodingBinding): Attribute[] {
  return [
    { name: 'channels', type: binding.TF_ATTR_INT, value: 3 },
    { name: 'ratio', type: binding.TF_ATTR_INT, value: 1 },
    { name: 'fancy_upscaling', type: binding.TF_ATTR_BOOL, value: true },
    { name: 'try_recover_truncated', type: binding.TF_ATTR_BOOL, value: false },
    { name: 'acceptable_fraction', type: binding.TF_ATTR_FLOAT, value: 1 },
    { name: 'dct_method', type: binding.TF_ATTR_STRING, value: '' },
  ];
}

/** The addon's messages are "Invalid TF_Status: 3\nMessage: …". */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (/Message: (.*)/.exec(text)?.[1] ?? text).trim().replace(/\.$/, '');
}

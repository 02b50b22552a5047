import { describe, expect, it } from 'vitest';
import { tableBytes } from '@showtell/coordinator/checkpoints/tensorflow/table-writer.js';
import { appendVarint } from '@showtell/coordinator/checkpoints/tensorflow/varint.js';
import { blockEntries } from '@showtell/coordinator/checkpoints/tensorflow/block.js';
import { encodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { SavedTensorSlices } from '@showtell/shared/generated/tensorflow/saved_tensor_slice.js';
import { checkRecordPicture } from '@showtell/worker/input/record-picture.js';
import { nsfwModel } from '../support/nsfw-model.js';
import { check } from './target.js';
import { targetNamed } from './targets.js';

const mostMs = 5_000;

/** What took minutes or gigabytes for input of this size takes milliseconds: the bound says nothing of a machine. */
async function isQuick(target: string, input: Buffer): Promise<void> {
  const found = await targetNamed(target);
  // What it is made of is opened first.
  await check(found, Buffer.alloc(0));
  const began = performance.now();
  await check(found, input);
  expect(performance.now() - began).toBeLessThan(mostMs);
}

describe('time and memory grow no faster than the input', () => {
  it('white space for base64 in a request to serve', async () => {
    const body = `{"image":"${' '.repeat(95_000)}!"}`;
    const head = 'POST /caption HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
    await isQuick('serve-http', Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n${body}`));
  });

  it('empty lines in a checkpoint state', () => isQuick('checkpoint-state', Buffer.alloc(300_000, '\n')));

  it('a tensor of 200,000 dimensions', () => {
    const dim = Array.from({ length: 200_000 }, () => ({ size: 1, name: '' }));
    const tensor = { name: 'a', shape: { dim, unknownRank: false }, type: 1, slice: [{ extent: [] }] };
    const meta = { tensor: [tensor], versions: undefined };
    const value = Buffer.from(SavedTensorSlices.encode({ meta, data: undefined }).finish());
    return isQuick('tensorflow-v1', Buffer.concat([tableBytes([{ key: Buffer.alloc(0), value }])]));
  });

  it('keys of a block that share all but a byte', () => {
    const pieces = [[0], [...Array.from({ length: 100_000 }, () => 97)], [0]].flat();
    const bytes: number[] = [0];
    appendVarint(100_000, bytes);
    bytes.push(0, ...pieces.slice(1, -1));
    for (let i = 1; i <= 20_000; i++) {
      appendVarint(100_000 + i - 1, bytes);
      bytes.push(1, 0, 97);
    }
    const block = Buffer.from([...bytes, 0, 0, 0, 0, 1, 0, 0, 0]);
    let read = 0;
    const count = (): void => {
      for (const { key } of blockEntries(block)) read += key.length;
    };
    expect(count).toThrow(/repeat themselves/);
    expect(read).toBeLessThan(65 * block.length);
  });

  it('a list of a million values where one is due', () => {
    const example = { imageId: 1, jpeg: Buffer.alloc(2_000_000), words: [], ids: new Int32Array() };
    const bytes = Buffer.from(encodeCaptionExample(example));
    // The picture's bytes become the list's: fields of nothing.
    const at = bytes.indexOf(Buffer.alloc(1_000));
    for (let i = at; i + 2 <= at + 2_000_000; i += 2) bytes.writeUInt16LE(0x000a, i);
    const header = bytes.lastIndexOf(0x0a, at - 1);
    bytes[header] = 0x12;
    return isQuick('sequence-example', bytes);
  });

  it('a gamma of a model.json that has a thousand million rows of no values', async () => {
    const { json } = await nsfwModel();
    const { layers } = json.modelTopology.model_config.config;
    // The first one that the net is matched with: no other weight is looked for before it.
    for (const { class_name, config } of layers) if (class_name === 'BatchNormalization') config['scale'] = true;
    const norms = layers.filter(({ class_name }) => class_name === 'BatchNormalization');
    const weights = norms.map(({ name }) => ({
      name: `${name}/gamma`,
      shape: [1_000_000_000, 0],
      dtype: 'float32' as const,
    }));
    await isQuick('tfjs-model', Buffer.from(JSON.stringify({ ...json, weightsManifest: [{ paths: [], weights }] })));
  });

  it('a picture of a few bytes that claims four thousand million pixels', () => {
    const jpeg = Buffer.from('ffd8ffc0000b08fffffffe01011100', 'hex');
    expect(() => checkRecordPicture(jpeg, 'it')).toThrow(ShowtellError);
    expect(() => checkRecordPicture(Buffer.from('ffd8ffc0000b080100010001011100', 'hex'), 'it')).not.toThrow();
  });
});

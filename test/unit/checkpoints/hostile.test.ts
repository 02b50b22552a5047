import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type OpenCheckpoint, readNamed } from '@showtell/coordinator/checkpoints/open-checkpoint.js';
import { BlockBuilder } from '@showtell/coordinator/checkpoints/tensorflow/block.js';
import { FileBytes } from '@showtell/coordinator/checkpoints/tensorflow/file-bytes.js';
import { tableMagic } from '@showtell/coordinator/checkpoints/tensorflow/table-format.js';
import { TableReader } from '@showtell/coordinator/checkpoints/tensorflow/table-reader.js';
import { maskedCrc32c } from '@showtell/shared/data/tfrecord.js';
import { readSafetensorsHeader } from '@showtell/shared/tensors/safetensors.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** A block and how it is packed: not. */
function sealed(block: Buffer): Buffer {
  const trailer = Buffer.alloc(5);
  trailer.writeUInt32LE(maskedCrc32c(Buffer.concat([block, Buffer.of(0)])), 1);
  return Buffer.concat([block, trailer]);
}

/** A table of one block of one entry, which its index names as often as it has keys. */
function tableNaming(keys: readonly string[]): string {
  const data = new BlockBuilder(16);
  data.add(Buffer.from('a'), Buffer.from('1'));
  const block = data.finish();
  const index = new BlockBuilder(1);
  for (const key of keys) index.add(Buffer.from(key), Buffer.of(0, block.length));
  const at = block.length + 5;
  const indexBlock = index.finish();
  const footer = Buffer.alloc(48);
  Buffer.of(0, 0, at, indexBlock.length).copy(footer);
  tableMagic.copy(footer, 40);
  const file = join(temporaryFolder(), 'table');
  writeFileSync(file, Buffer.concat([sealed(block), sealed(indexBlock), footer]));
  return file;
}

it('a table’s index names each block once: others would be read as often as it has entries', () => {
  const once = new TableReader(new FileBytes(tableNaming(['a'])));
  expect([...once.entries()].map(({ key }) => key.toString())).toEqual(['a']);
  expect(() => new TableReader(new FileBytes(tableNaming(['a', 'b'])))).toThrow(
    expect.objectContaining({ code: 'tensorflow/malformed' }),
  );
});

it('a tensor of bytes is refused where floats are read', () => {
  const file = join(temporaryFolder(), 'parameters.safetensors');
  const header = Buffer.from('{"a":{"dtype":"I8","shape":[3],"data_offsets":[0,3]}}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(file, Buffer.concat([length, header, Buffer.alloc(3)]));
  const checkpoint = { directory: 'checkpoints/1', tensors: readSafetensorsHeader(file) } as OpenCheckpoint;
  expect(() => readNamed(checkpoint, 'a')).toThrow(expect.objectContaining({ code: 'tensors/malformed' }));
});

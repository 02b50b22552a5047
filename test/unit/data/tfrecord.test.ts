import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { frameLength, frameRecord, maskedCrc32c, scanRecords } from '@showtell/shared/data/tfrecord.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

async function scan(bytes: Uint8Array) {
  const file = join(temporaryFolder(), 'some.tfrecord');
  writeFileSync(file, bytes);
  const records = [];
  for await (const record of scanRecords(file)) records.push({ ...record, data: Buffer.from(record.data) });
  return records;
}

describe('the record framing', () => {
  it('masks CRC-32C as TensorFlow does', () => {
    // RFC 3720 gives 0xe3069283 for "123456789" (CRC-32C, Castagnoli).
    const crc = 0xe3069283;
    expect(maskedCrc32c(Buffer.from('123456789'))).toBe((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  });

  it('reads back what it framed, also records larger than a read', async () => {
    const bodies = [Buffer.alloc(0), Buffer.from('one'), Buffer.alloc(9_000_000, 7), Buffer.from('last')];
    const records = await scan(Buffer.concat(bodies.map(frameRecord)));
    expect(records.map(({ length, sound }) => ({ length, sound }))).toEqual(
      bodies.map(({ length }) => ({ length, sound: true })),
    );
    expect(records.every(({ data }, i) => data.equals(bodies[i]!))).toBe(true);
    expect(records.map(({ offset }) => offset)).toEqual([12, 28, 47, 9_000_063]);
  });

  it('finds no records in an empty file', async () => {
    expect(await scan(Buffer.alloc(0))).toEqual([]);
  });

  it('tells damaged data from damaged lengths', async () => {
    const bytes = Buffer.concat([frameRecord(Buffer.from('first')), frameRecord(Buffer.from('second'))]);
    bytes[13]! ^= 1;
    expect((await scan(bytes)).map(({ sound }) => sound)).toEqual([false, true]);
    bytes[0]! ^= 1;
    await expect(scan(bytes)).rejects.toMatchObject({
      code: 'data/shard-unreadable',
      message: expect.stringContaining('byte 0') as string,
    });
  });

  it.each([1, 11, 12, 14, 20])('refuses a file that ends %i bytes into its second record', async (bytes) => {
    const first = frameRecord(Buffer.from('first'));
    const second = frameRecord(Buffer.from('second'));
    await expect(scan(Buffer.concat([first, second.subarray(0, bytes)]))).rejects.toMatchObject({
      code: 'data/shard-unreadable',
      message: expect.stringContaining(`begins at byte ${first.length}`) as string,
    });
  });

  it('believes no length beyond the limit, however sound its CRC', () => {
    const header = Buffer.alloc(12);
    header.writeBigUInt64LE(2n ** 40n);
    header.writeUInt32LE(maskedCrc32c(header.subarray(0, 8)), 8);
    expect(frameLength(header)).toBeNull();
  });

  it('names a file that is not there', async () => {
    const missing = scanRecords(join(temporaryFolder(), 'none')).next();
    await expect(missing).rejects.toMatchObject({ code: 'file/missing' });
  });
});

import { crc32c } from '@node-rs/crc32';

/**
 * Protobuf's tag of field 2047 as a fixed32, which no message of `proto/` has: whoever does not know of seals skips it
 * like any other unknown field.
 */
const tag = Buffer.from([0xfd, 0x7f]);
const sealBytes = tag.length + 4;

/**
 * The message with the CRC-32C of its bytes as a last field. TCP's own sum is 16 bits wide and ends at each proxy, and one
 * flipped bit of a gradient would be another run.
 */
export function seal(message: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(message.length + sealBytes);
  sealed.set(message, 0);
  sealed.set(tag, message.length);
  sealed.writeUInt32LE(crc32c(sealed.subarray(0, message.length)), message.length + tag.length);
  return sealed;
}

/** Whether the message is as {@link seal} made it. */
export function isSealed(message: Uint8Array): boolean {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const end = bytes.length - sealBytes;
  if (end < 0 || !bytes.subarray(end, end + tag.length).equals(tag)) return false;
  return crc32c(bytes.subarray(0, end)) === bytes.readUInt32LE(end + tag.length);
}

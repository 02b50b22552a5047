import type { GradientChunk } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { type BodyPart, bytesOf, type GradientBody } from '@showtell/shared/tensors/gradient-body.js';

/**
 * Puts the chunks of one gradient in their places in `memory`. Chunks of a part come in order and without gap.
 * @returns what is wrong with them, or null
 */
export async function receiveBody(
  chunks: AsyncIterable<GradientChunk>,
  body: GradientBody,
  memory: SharedArrayBuffer,
): Promise<string | null> {
  const parts = new Map<string, BodyPart>(body.parts.map((part) => [part.segment, part]));
  if (body.rows !== null) parts.set('embedding', body.rows);
  const received = new Map<string, number>();
  for await (const { segment, element, body: bytes } of chunks) {
    const part = parts.get(segment);
    if (part === undefined) return `a chunk is of segment ${segment}, which the header does not name`;
    const expected = received.get(segment) ?? 0;
    const size = bytesOf(part.dtype);
    if (element !== expected || bytes.length % size !== 0 || element + bytes.length / size > part.elements)
      return `a chunk of ${segment} holds ${bytes.length} bytes from element ${element}, expected element ${expected} of ${part.elements}`;
    new Uint8Array(memory, part.offset + element * size, bytes.length).set(bytes);
    received.set(segment, element + bytes.length / size);
  }
  for (const [segment, part] of parts)
    if ((received.get(segment) ?? 0) !== part.elements)
      return `${segment} ended after ${received.get(segment) ?? 0} of ${part.elements} elements`;
  return null;
}

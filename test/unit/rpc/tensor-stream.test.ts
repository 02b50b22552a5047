import { EventEmitter } from 'node:events';
import type { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { sendToEnd } from '@showtell/shared/rpc/tensor-stream.js';

/** The other side takes the last message and is gone in the same moment: all that is ever heard of it is said at once. */
class Leaving extends EventEmitter {
  destroyed = false;
  ended = false;
  write(): boolean {
    setImmediate(() => {
      this.emit('drain');
      this.destroyed = true;
      this.emit('close');
    });
    return false;
  }
  end(): void {
    this.ended = true;
  }
}

it('does not wait for the end of a stream that closed while its last message was sent', async () => {
  const sink = new Leaving();
  await sendToEnd(sink as unknown as Writable, ['the last']);
  expect(sink.ended).toBe(false);
});

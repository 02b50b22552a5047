import type { Readable, Writable } from 'node:stream';

/** A stream of messages that is sent to: a gRPC call from either side. */
interface MessageSink<T> extends Writable {
  write(message: T): boolean;
}

/**
 * Sends messages one by one and waits whenever the other side is slower, so that no more than a few chunks are in
 * memory. The stream is left open.
 * @throws when the stream breaks
 */
export async function sendAll<T>(sink: MessageSink<T>, messages: Iterable<T>): Promise<void> {
  for (const message of messages) {
    if (sink.destroyed) throw new Error('the stream was closed by the other side');
    if (!sink.write(message)) await drained(sink);
  }
}

/**
 * Sends all and ends the stream. What the messages were made of is needed until this resolves: once the last is copied, or the
 * other side is gone.
 * @throws when the stream breaks before
 */
export async function sendToEnd<T>(sink: MessageSink<T>, messages: Iterable<T>): Promise<void> {
  await sendAll(sink, messages);
  // Of one that is closed nothing more is heard.
  if (sink.destroyed) return;
  await new Promise<void>((resolve) => {
    sink.once('finish', resolve).once('close', resolve).once('cancelled', resolve);
    sink.end();
  });
}

function drained(sink: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      sink.off('drain', onDrain).off('close', onEnd).off('error', onError).off('cancelled', onEnd);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onDrain = (): void => settle();
    const onEnd = (): void => settle(new Error('the stream was closed by the other side'));
    const onError = (error: Error): void => settle(error);
    sink.on('drain', onDrain).on('close', onEnd).on('error', onError).on('cancelled', onEnd);
  });
}

/** The messages of a gRPC call; leaving the loop early cancels what is still to come. */
export function messagesOf<T>(call: Readable): AsyncIterable<T> {
  return call as AsyncIterable<T>;
}

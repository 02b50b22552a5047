import { ShowtellError } from '@showtell/shared/errors.js';

/** Runs what may fail inside TensorFlow; its failures become errors of the table. */
export function engineCall<T>(call: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof ShowtellError || !fromTensorflow(error)) throw error;
    const detail = error.message;
    const outOfMemory = /\bOOM\b|RESOURCE_EXHAUSTED|allocat\w* memory/i.test(detail);
    throw new ShowtellError(outOfMemory ? 'engine/out-of-memory' : 'engine/failed', { call, detail }, { cause: error });
  }
}

/** The addon throws plain errors; mistakes in a caller's arguments are RangeErrors and TypeErrors. */
function fromTensorflow(error: Error): boolean {
  return error.constructor === Error;
}

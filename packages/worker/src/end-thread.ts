import type { Worker } from 'node:worker_threads';
import { within } from './within.js';

/** How long a thread may take to end when it is asked to, and when it is told to. */
const askedMs = 10_000;
const toldMs = 2_000;

let stuck = false;

/** Whether a thread of this process would not end: one in a native call that does not return. */
export function areThreadsStuck(): boolean {
  return stuck;
}

/**
 * Ends a thread: waits until it has closed what it holds, but not for ever.
 * @param closed its own end, or its word that it holds nothing any more
 */
export async function endThread(thread: Worker, closed: Promise<unknown>): Promise<void> {
  await within(askedMs, closed);
  if (!(await within(toldMs, thread.terminate()))) stuck = true;
}

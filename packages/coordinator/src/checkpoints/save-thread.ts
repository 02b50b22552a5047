import { parentPort } from 'node:worker_threads';
import type { ManifestContent } from './manifest.js';
import { type CheckpointToWrite, writeCheckpoint } from './write-checkpoint.js';

export type SaveAnswer =
  { readonly kind: 'saved'; readonly content: ManifestContent } | { readonly kind: 'failed'; readonly message: string };

/** Hashes and writes checkpoints, so that neither holds up a step or a lease. */
parentPort?.on('message', (checkpoint: CheckpointToWrite | 'close') => {
  if (checkpoint === 'close') {
    parentPort?.close();
    return;
  }
  let answer: SaveAnswer;
  try {
    answer = { kind: 'saved', content: writeCheckpoint(checkpoint) };
  } catch (error) {
    answer = { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
  parentPort?.postMessage(answer);
});

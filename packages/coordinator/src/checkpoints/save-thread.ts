import { readlinkSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import path from 'node:path';
import { parentPort } from 'node:worker_threads';
import { pruneCheckpoints, removeLeftovers } from './checkpoint-folders.js';
import type { ManifestContent } from './manifest.js';
import type { Retention } from './retention.js';
import { type CheckpointToWrite, writeCheckpoint } from './write-checkpoint.js';

export interface CheckpointToSave extends CheckpointToWrite {
  /** What of the others is kept then; null: all. */
  readonly retention: Retention | null;
}

export type SaveAnswer =
  | {
      readonly kind: 'saved';
      readonly content: ManifestContent;
      /** Why others that were to go did not; null: they did. */
      readonly notRemoved: string | null;
    }
  | { readonly kind: 'failed'; readonly message: string };

/** On Linux a thread has a priority of its own: where cores are short, steps go first and a checkpoint takes longer. */
function giveWay(): void {
  if (process.platform !== 'linux') return;
  const thread = Number(path.basename(readlinkSync('/proc/thread-self')));
  setPriority(thread, constants.priority.PRIORITY_BELOW_NORMAL);
}

giveWay();

/** Hashes, writes and removes checkpoints, so that none of it holds up a step or a lease. */
parentPort?.on('message', (checkpoint: CheckpointToSave | 'close') => {
  if (checkpoint === 'close') {
    parentPort?.close();
    return;
  }
  parentPort?.postMessage(save(checkpoint));
});

function save(checkpoint: CheckpointToSave): SaveAnswer {
  let content: ManifestContent;
  try {
    content = writeCheckpoint(checkpoint);
  } catch (error) {
    return { kind: 'failed', message: messageOf(error) };
  }
  try {
    // What an earlier save left that a disk kept from removing it, too: no other save is under way.
    removeLeftovers(checkpoint.directory);
    if (checkpoint.retention !== null) pruneCheckpoints(checkpoint.directory, checkpoint.retention);
  } catch (error) {
    return { kind: 'saved', content, notRemoved: messageOf(error) };
  }
  return { kind: 'saved', content, notRemoved: null };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

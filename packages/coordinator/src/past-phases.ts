import { ShowtellError } from '@showtell/shared/errors.js';
import { CheckpointStore } from './checkpoints/checkpoint-store.js';
import { readManifest } from './checkpoints/read-checkpoint.js';
import { Journal } from './journal.js';
import type { RunFolder } from './run-folder.js';

/** Phases that a run has left for good, each with how it ended. Steps added to one would never be taken. */
type PastPhases = Readonly<Partial<Record<'decoderOnly' | 'joint', string>>>;

/** What the journal, and where it began in the joint phase the checkpoints, say of a run. */
export function pastPhases(folder: RunFolder): PastPhases {
  const entries = Journal.read(folder.at('journal.jsonl'));
  const rollback = entries.findLast((entry) => entry.type === 'rollback');
  const switchedAt = entries.findLast((entry) => entry.type === 'switch')?.step ?? switchBeforeFork(folder);
  return {
    ...(switchedAt === null ? {} : { decoderOnly: `ended at step ${switchedAt}, where the joint one began` }),
    ...(rollback === undefined ? {} : { joint: `was rolled back to step ${rollback.toStep}` }),
  };
}

/** A fork of a checkpoint in the joint phase has no switch of its own. */
function switchBeforeFork(folder: RunFolder): number | null {
  const { forkedFrom } = folder.identity();
  if (forkedFrom === null) return null;
  const own = CheckpointStore.read(folder.at('checkpoints')).list();
  const newest = own.findLast(({ manifest }) => manifest !== null)?.manifest;
  if (newest != null) return newest.switchedAt;
  try {
    return readManifest(forkedFrom).switchedAt;
  } catch (error) {
    // Without it the run has nothing to go on from, which opening it will say.
    if (error instanceof ShowtellError) return null;
    throw error;
  }
}

import type { Job } from '@showtell/shared/job/job.js';
import type { Journal, JournalEntry } from '../journal.js';

type EvaluationEntry = Extract<JournalEntry, { type: 'evaluation' }>;

/**
 * The evaluations of versions that are there still, oldest first. Steps that are trained again after a restart have the
 * bits that they had, but where each unit is applied as it comes: there the scores of what was beyond the checkpoint that
 * the coordinator began with are of versions that nobody has.
 */
export function evaluationsOf(
  journal: Pick<Journal, 'entries' | 'of'>,
  { asynchronous }: Pick<Job, 'asynchronous'>,
): readonly EvaluationEntry[] {
  if (asynchronous === null) return journal.of('evaluation');
  let began = Infinity;
  const kept: EvaluationEntry[] = [];
  for (const entry of journal.entries.toReversed()) {
    if (entry.type === 'generation') began = Math.min(began, entry.fromStep ?? -1);
    else if (entry.type === 'evaluation' && entry.step <= began) kept.push(entry);
  }
  return kept.toReversed();
}

import type { JournalEntry } from '../journal.js';
import type { PhaseState } from './switch.js';

/**
 * Whether a person ordered the joint phase to begin at this very step. Such an order stands in the journal before the
 * step it names is taken, so that a run that is resumed from before it decides the same there.
 */
export function isSwitchOrdered(
  entries: readonly JournalEntry[],
  { step, phase, lineage }: Pick<PhaseState, 'step' | 'phase'> & { readonly lineage: number },
): boolean {
  if (phase !== 'decoder-only') return false;
  return entries.some((entry) => entry.type === 'switch-order' && entry.step === step && entry.lineage === lineage);
}

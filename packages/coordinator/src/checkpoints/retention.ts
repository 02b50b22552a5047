/** What deciding on a checkpoint needs of it. */
export interface KeptCheckpoint {
  readonly step: number;
  readonly pinned: boolean;
  /** Validation BLEU-4 of its version; null where it was not evaluated. */
  readonly bleu4: number | null;
}

/** Which checkpoints are kept beside the pinned ones. */
export interface Retention {
  /** How many of the newest. */
  readonly keepLast: number;
  /** Whether the one with the best BLEU-4 is, too. */
  readonly keepBest: boolean;
}

/** Steps of the checkpoints that go: all but the last, the best (among equals the later) and the pinned ones. */
export function toPrune(checkpoints: readonly KeptCheckpoint[], { keepLast, keepBest }: Retention): number[] {
  const byStep = [...checkpoints].sort((a, b) => a.step - b.step);
  const last = new Set(byStep.slice(-keepLast).map(({ step }) => step));
  const best = keepBest ? bestOf(byStep) : null;
  return byStep.filter(({ step, pinned }) => !pinned && !last.has(step) && step !== best).map(({ step }) => step);
}

/** The step of the best, among equals the later; null where none was evaluated. @param byStep in step order */
export function bestOf(byStep: readonly KeptCheckpoint[]): number | null {
  let best: KeptCheckpoint | null = null;
  for (const checkpoint of byStep)
    if (checkpoint.bleu4 !== null && checkpoint.bleu4 >= (best?.bleu4 ?? 0)) best = checkpoint;
  return best?.step ?? null;
}

import type { PhaseName } from '@showtell/shared/job/phases.js';

/** Everything the report of a run shows; plain data, so that it can be kept and drawn again. */
export interface ReportData {
  /** The run's name. */
  readonly run: string;
  /** Its folder, as a person would type it. */
  readonly folder: string;
  readonly outcome: 'complete' | 'stopped' | 'guard-unmet' | 'rolled-back';
  /** Why it ended so, in a sentence; `null` for a run that is complete. */
  readonly reason: string | null;
  /** ISO 8601. */
  readonly finished: string;
  /** Steps done, and of them the phases, in order; a rollback gives a phase a second stretch. */
  readonly steps: number;
  readonly phases: readonly ReportPhase[];
  /** Shown as a table, in this order. */
  readonly facts: readonly { readonly name: string; readonly value: string; readonly mono?: boolean }[];
  /** Seconds of training, all sessions of the run together. */
  readonly seconds: number;
  readonly losses: readonly { readonly step: number; readonly loss: number }[];
  readonly evaluations: readonly ReportEvaluation[];
  /** Perplexity of guessing by word frequency alone; drawn as a line to beat. */
  readonly baselinePerplexity: number | null;
  readonly pictures: readonly ReportPicture[];
  /** How to go on: what for, and the command. */
  readonly next: readonly { readonly what: string; readonly command: string }[];
}

export interface ReportPhase {
  readonly phase: PhaseName;
  readonly from: number;
  readonly to: number;
}

export interface ReportEvaluation {
  readonly step: number;
  readonly phase: PhaseName;
  readonly perplexity: number;
  readonly bleu1: number | null;
  readonly bleu4: number | null;
  readonly colorAccuracy: number | null;
  readonly novelty: number | null;
}

/** A held-out picture and what the model said of it as training went on. */
export interface ReportPicture {
  readonly imageId: number;
  readonly jpeg: Uint8Array;
  readonly references: readonly string[];
  /** Such as "before training", "after decoder-only", "after joint"; in order. */
  readonly captions: readonly { readonly when: string; readonly caption: string; readonly logprob: number | null }[];
}

/** The scores that tell what each phase achieved: the first evaluation, and the last of each phase. */
export function milestones(data: ReportData): { readonly when: string; readonly scores: ReportEvaluation }[] {
  const found: { when: string; scores: ReportEvaluation }[] = [];
  const first = data.evaluations[0];
  if (first?.step === 0) found.push({ when: 'before training', scores: first });
  for (const phase of ['decoder-only', 'joint'] as const) {
    const last = data.evaluations.filter((one) => one.phase === phase && one.step > 0).at(-1);
    if (last !== undefined) found.push({ when: `after ${phase}`, scores: last });
  }
  return found;
}

import { exactLog } from '@showtell/shared/exact-math.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';

/** What a decision needs of one evaluation. */
export interface EvaluatedVersion {
  readonly step: number;
  readonly phase: PhaseName;
  /** Validation loss a word, in nats. */
  readonly lossPerWord: number;
  /** Null where no captions were made. */
  readonly bleu4: number | null;
}

/** Where the run stands between two steps. */
export interface PhaseState {
  /** Updates applied. */
  readonly step: number;
  readonly phase: PhaseName;
  /** Step at which the joint phase began; null before it. */
  readonly switchedAt: number | null;
}

export type Decision =
  | { readonly type: 'stay' }
  | { readonly type: 'switch'; readonly reason: string }
  /** A person's order is not followed, and the phase goes on. */
  | { readonly type: 'refuse-switch'; readonly reason: string }
  | { readonly type: 'guard-unmet'; readonly reason: string }
  | { readonly type: 'roll-back'; readonly toStep: number; readonly reason: string }
  | { readonly type: 'finish'; readonly reason: string };

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** The last step of the decoder-only phase is reached, or validation has stopped improving. */
function decoderOnlyEnds(job: Job, state: PhaseState, history: readonly EvaluatedVersion[]): string | null {
  const { steps, plateau } = job.phases.decoderOnly;
  if (state.step >= steps) return `${steps} decoder-only steps are done`;
  if (plateau === null) return null;
  const losses = history.map((evaluation) => evaluation.lossPerWord);
  const before = losses.slice(0, -plateau.evaluations);
  if (before.length === 0) return null;
  const best = Math.min(...before);
  const recent = Math.min(...losses.slice(-plateau.evaluations));
  return recent > best * (1 - plateau.minImprovement)
    ? `validation loss has not improved by ${percent(plateau.minImprovement)} in ${plateau.evaluations} evaluations`
    : null;
}

/**
 * What to do before the next step: a pure function of the job, where the run stands, and what was evaluated so far.
 *
 * @param history evaluations of the current lineage up to `state.step`, in step order; the last is of this very step
 * whenever the step is a decision step ({@link isDecisionStep}).
 * @param unigramLossPerWord loss a word, in nats, of guessing words by their frequency alone.
 * @param ordered whether a person ordered the joint phase to begin at this step.
 */
export function decide(
  job: Job,
  state: PhaseState,
  history: readonly EvaluatedVersion[],
  unigramLossPerWord: number,
  { ordered = false }: { readonly ordered?: boolean } = {},
): Decision {
  const last = history.at(-1);
  if (state.phase === 'decoder-only') {
    const own = decoderOnlyEnds(job, state, history);
    if (own === null && !ordered) return { type: 'stay' };
    const ends = own ?? 'a person asked for the joint phase';
    if (job.phases.joint.steps === 0)
      return own === null
        ? { type: 'refuse-switch', reason: `${ends}, but the job has none` }
        : { type: 'finish', reason: `${ends}, and the job has no joint phase` };
    const limit = job.phases.joint.guard.maxPerplexityRatio;
    // A job without decoder-only steps asks for joint training from the start: there is no decoder to have learnt.
    if (limit === null || job.phases.decoderOnly.steps === 0) return { type: 'switch', reason: ends };
    // perplexity / baseline ≤ limit, in logarithms: exponentials differ in their last bit between versions of V8.
    const learnt = last !== undefined && last.lossPerWord - unigramLossPerWord <= exactLog(limit);
    const measured = `validation loss ${last?.lossPerWord.toFixed(4) ?? 'unknown'} a word, unigram baseline ${unigramLossPerWord.toFixed(4)}`;
    return learnt
      ? { type: 'switch', reason: `${ends}; the decoder has learnt: ${measured}` }
      : {
          type: own === null ? 'refuse-switch' : 'guard-unmet',
          reason: `${ends}, but perplexity is above ${percent(limit)} of the unigram baseline's: ${measured}`,
        };
  }
  const switchedAt = state.switchedAt ?? 0;
  const { maxBleuDrop, rollbackPatience, steps } = job.phases.joint;
  const atSwitch = history.find((evaluation) => evaluation.step === switchedAt)?.bleu4 ?? null;
  if (maxBleuDrop !== null && atSwitch !== null) {
    const since = history.filter((evaluation) => evaluation.step > switchedAt).slice(-rollbackPatience);
    const fallen = since.filter((evaluation) => (evaluation.bleu4 ?? atSwitch) < atSwitch - maxBleuDrop);
    if (fallen.length === rollbackPatience)
      return {
        type: 'roll-back',
        toStep: switchedAt,
        reason: `validation BLEU-4 lay more than ${maxBleuDrop} below the ${atSwitch.toFixed(4)} at the switch in ${rollbackPatience} evaluations in a row, last ${last?.bleu4?.toFixed(4) ?? 'unknown'}`,
      };
  }
  if (state.step >= switchedAt + steps) return { type: 'finish', reason: `${steps} joint steps are done` };
  return { type: 'stay' };
}

/**
 * Whether the version of this step is evaluated before anything else happens. A fork may begin beyond the end of its phase, of which its
 * job has fewer steps than its origin took.
 */
export function isDecisionStep(job: Job, state: PhaseState): boolean {
  if (state.step % job.evaluation.everySteps === 0) return true;
  return state.phase === 'decoder-only'
    ? state.step >= job.phases.decoderOnly.steps
    : state.step >= (state.switchedAt ?? 0) + job.phases.joint.steps;
}

/** Steps the run has in all, as far as is known now: a plateau may end the first phase sooner. */
export function totalSteps(job: Job, state: PhaseState): number {
  return (state.switchedAt ?? job.phases.decoderOnly.steps) + job.phases.joint.steps;
}

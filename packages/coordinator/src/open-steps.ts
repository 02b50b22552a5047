import { oldestVersion, openWindow } from '@showtell/shared/job/asynchronous.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { PhaseState } from './phases/switch.js';

/** Which steps' units may be published. */
export interface OpenSteps {
  /** The first that stays closed. */
  readonly until: number;
  /** The oldest version that a unit of this step may be computed with. */
  readonly oldestVersion: (step: number) => number;
}

/** Where a run stands, for what may be opened. */
export interface OpenState extends PhaseState {
  /** Units before the last applied one that are not. */
  readonly missing: readonly number[];
}

/**
 * Synchronous: as far as the look-ahead reaches, each step on its own version. Asynchronous: the window behind the first
 * unit that is not applied, and nothing beyond the next step that is decided at, so that a decision is about the very units
 * that the plan has before it.
 *
 * @param opened first step that has stayed closed so far
 * @param end first step that will not be taken
 * @param decidedAt step of the last decision: no older version belongs to this phase
 * @param isDecidedAt whether a decision is due at a later step
 */
export function openSteps(
  job: Pick<Job, 'asynchronous'> & { readonly cluster: Pick<Job['cluster'], 'lookAhead'> },
  state: OpenState,
  opened: number,
  end: number,
  decidedAt: number,
  isDecidedAt: (step: number) => boolean,
): OpenSteps {
  const { asynchronous, cluster } = job;
  const { step } = state;
  if (asynchronous === null) return { until: Math.min(step + cluster.lookAhead + 1, end), oldestVersion: (of) => of };
  const hasWarmedUp = step - (state.switchedAt ?? 0) >= asynchronous.warmStartSteps;
  const window = hasWarmedUp ? openWindow(asynchronous) : 0;
  const wanted = Math.min((state.missing[0] ?? step) + window + 1, end);
  let until = Math.max(step, opened);
  while (until < wanted && (until === step || !isDecidedAt(until))) until++;
  return { until, oldestVersion: (of) => oldestVersion(of, window, decidedAt) };
}

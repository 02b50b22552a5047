import type { Job } from './job.js';
import type { PhaseName } from './phases.js';

/**
 * The learning rate of a step.
 *
 * Staircase decay, by repeated multiplication: `Math.pow` gives other bits on other versions of V8.
 *
 * @param stepInPhase steps since the phase began, 0 for its first. im2txt counts from the run's start, which in its
 * decoder-only phase is the same.
 */
export function learningRate(job: Job, phase: PhaseName, stepInPhase: number): number {
  const { learningRate: first, decay } = phase === 'decoder-only' ? job.phases.decoderOnly : job.phases.joint;
  if (decay === null) return first;
  let rate = first;
  for (let n = Math.floor(stepInPhase / decay.everySteps); n > 0; n--) rate *= decay.factor;
  return rate;
}

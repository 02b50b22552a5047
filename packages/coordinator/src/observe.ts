import type { Job } from '@showtell/shared/job/job.js';
import type { Logger } from '@showtell/shared/service/log.js';
import { phaseNames, type PhaseName } from '@showtell/shared/job/phases.js';
import type { EvaluationScores } from './evaluation/evaluation.js';
import type { Journal } from './journal.js';
import type { CoordinatorMetrics } from './metrics.js';
import { totalSteps } from './phases/switch.js';
import type { RunEvent, RunState } from './run.js';

type Series = CoordinatorMetrics['series'];

/** What is known of a run before its first step. */
export interface StartFacts {
  readonly job: Job;
  readonly state: RunState;
  readonly journal: Journal;
  /** It goes on from a checkpoint of its own. */
  readonly resumed: boolean;
  readonly info: { readonly run: string; readonly job: string; readonly version: string };
  readonly generation: number;
  /** Records of an epoch. */
  readonly trainingPairs: number;
}

/** Tells where a run begins or goes on, the scores of its latest evaluation included: no series waits for a step. */
export function noteStart(series: Series, facts: StartFacts): void {
  const { job, state, journal, resumed, info, generation, trainingPairs } = facts;
  series.runInfo.set(info, 1);
  series.generation.set(generation);
  series.gradientClip.set(job.optimizer.clip);
  series.lineage.set(state.lineage - 1);
  series.step.set(state.step);
  series.stepsPlanned.set(state.rolledBack?.toStep ?? totalSteps(job, state));
  series.epoch.set(state.examples / trainingPairs);
  setPhase(series, state.phase);
  if (resumed) series.checkpointStep.set(state.step);
  const evaluated = journal
    .of('evaluation')
    .findLast(({ lineage, step }) => lineage === state.lineage && step <= state.step);
  if (evaluated !== undefined) setScores(series, evaluated.scores);
}

function setPhase(series: Series, phase: PhaseName): void {
  for (const name of phaseNames) series.phase.set({ phase: name }, name === phase ? 1 : 0);
}

function setScores(series: Series, { perplexity, captions }: EvaluationScores): void {
  series.perplexity.set(perplexity);
  if (captions === null) return;
  for (const [i, value] of captions.bleu.entries()) series.bleu.set({ n: String(i + 1) }, value);
  series.rougeL.set(captions.rougeL);
  series.cider.set(captions.cider);
  series.novelty.set(captions.novelty);
  if (captions.colorAccuracy !== null) series.colorAccuracy.set(captions.colorAccuracy);
}

/**
 * Writes what happens in a run to its metrics and its log.
 *
 * @param trainingPairs records of an epoch
 */
export function observe(event: RunEvent, { series }: CoordinatorMetrics, log: Logger, trainingPairs: number): void {
  switch (event.type) {
    case 'step': {
      const { step, phase, result, seconds } = event;
      series.step.set(step);
      series.stepsPlanned.set(event.totalSteps);
      setPhase(series, phase);
      series.examples.inc(result.examples);
      series.epoch.set(event.examples / trainingPairs);
      series.loss.set(result.loss);
      series.gradientNorm.set(result.gradientNorm);
      series.learningRate.set(event.learningRate);
      series.stepDuration.observe({ phase }, seconds);
      const compute = Math.max(...result.accepted.map((unit) => unit.computeSeconds));
      const exchange = result.seconds.sum + result.seconds.publish;
      series.stepPart.observe({ part: 'compute' }, compute);
      series.stepPart.observe({ part: 'exchange' }, exchange);
      series.stepPart.observe({ part: 'update' }, result.seconds.update);
      series.stepPart.observe({ part: 'wait' }, Math.max(0, seconds - compute - exchange - result.seconds.update));
      for (const { staleness } of result.accepted) if (staleness !== null) series.staleness.observe({}, staleness);
      series.corruptRecords.inc(result.accepted.reduce((sum, unit) => sum + unit.skipped.length, 0));
      log.debug('step', { step, phase, loss: result.loss, gradientNorm: result.gradientNorm, seconds });
      return;
    }
    case 'evaluation': {
      const { step, scores } = event;
      setScores(series, scores);
      if (event.seconds !== null) series.evaluationDuration.observe(event.seconds);
      log.info('evaluated', { step, ...scores });
      return;
    }
    case 'switch':
      setPhase(series, 'joint');
      log.info('the joint phase begins', { step: event.step, reason: event.reason });
      return;
    case 'switch-refused':
      log.warn('the joint phase was asked for and does not begin', { step: event.step, reason: event.reason });
      return;
    case 'rollback':
      series.rollbacks.inc();
      series.lineage.inc();
      setPhase(series, 'decoder-only');
      log.warn('rolling back', { step: event.step, toStep: event.toStep, reason: event.reason });
      return;
    case 'checkpoint':
      series.checkpoints.inc({ result: 'saved' });
      series.checkpointStep.set(event.step);
      series.checkpointDuration.observe(event.seconds);
      series.checkpointBytes.set(event.bytes);
      log.info('checkpoint', { step: event.step, path: event.path });
      return;
    case 'save-failed':
      series.checkpoints.inc({ result: 'failed' });
      log.error('a checkpoint could not be saved; training goes on', { step: event.step, error: event.error });
      return;
    case 'finished':
      log.info('finished', { step: event.step, outcome: event.outcome, reason: event.reason });
      return;
    case 'stopped':
      log.info('stopped', { step: event.step });
      return;
    default:
      event satisfies never;
  }
}

import type { Logger } from '@showtell/shared/service/log.js';
import { phaseNames } from '@showtell/shared/job/phases.js';
import type { CoordinatorMetrics } from './metrics.js';
import type { RunEvent } from './run.js';

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
      for (const name of phaseNames) series.phase.set({ phase: name }, name === phase ? 1 : 0);
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
      series.corruptRecords.inc(result.accepted.reduce((sum, unit) => sum + unit.skipped.length, 0));
      log.debug('step', { step, phase, loss: result.loss, gradientNorm: result.gradientNorm, seconds });
      return;
    }
    case 'evaluation': {
      const { step, scores } = event;
      series.perplexity.set(scores.perplexity);
      if (event.seconds !== null) series.evaluationDuration.observe(event.seconds);
      const { captions } = scores;
      if (captions !== null) {
        for (const [i, value] of captions.bleu.entries()) series.bleu.set({ n: String(i + 1) }, value);
        series.rougeL.set(captions.rougeL);
        series.cider.set(captions.cider);
        series.novelty.set(captions.novelty);
        if (captions.colorAccuracy !== null) series.colorAccuracy.set(captions.colorAccuracy);
      }
      log.info('evaluated', { step, ...scores });
      return;
    }
    case 'switch':
      log.info('the joint phase begins', { step: event.step, reason: event.reason });
      return;
    case 'rollback':
      series.rollbacks.inc();
      series.lineage.inc();
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

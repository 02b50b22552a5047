import { openSeries, type SeriesRow, type SeriesSet } from '@showtell/shared/service/series.js';
import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Every series of the operator. */
export const operatorSeries = {
  leader: {
    type: 'gauge',
    name: 'showtell_operator_leader',
    unit: '',
    labels: {},
    help: '1 for the operator that acts, 0 for one that waits to take its place.',
  },
  jobs: {
    type: 'gauge',
    name: 'showtell_operator_jobs',
    unit: '',
    labels: { phase: 'Pending, Running, Suspended, Stopping, Succeeded, Failed' },
    help: 'TrainingJobs in each phase.',
  },
  reconciles: {
    type: 'counter',
    name: 'showtell_operator_reconciles_total',
    unit: '',
    labels: { result: 'ok, failed' },
    help: 'Looks at a TrainingJob and what is there for it.',
  },
  reconcileDuration: {
    type: 'histogram',
    name: 'showtell_operator_reconcile_duration_seconds',
    unit: 'seconds',
    labels: {},
    help: 'One look, with what was done about it.',
  },
  objectsApplied: {
    type: 'counter',
    name: 'showtell_operator_objects_applied_total',
    unit: '',
    labels: { kind: 'of the object', result: 'ok, failed' },
    help: 'Objects that were not as wanted and were applied.',
  },
  answers: {
    type: 'counter',
    name: 'showtell_operator_coordinator_answers_total',
    unit: '',
    labels: { result: 'said, silent' },
    help: 'Requests to coordinators for /status.',
  },
} as const satisfies Record<string, SeriesRow>;

export interface OperatorMetrics {
  readonly registry: Registry;
  readonly series: SeriesSet<typeof operatorSeries>;
}

/** A registry with every row of {@link operatorSeries} and prom-client's own of the process. */
export function openOperatorMetrics(): OperatorMetrics {
  const metrics = openSeries(operatorSeries);
  collectDefaultMetrics({ register: metrics.registry });
  return metrics;
}

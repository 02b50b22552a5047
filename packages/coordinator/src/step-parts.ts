import type { StepResult } from './parameter-server/parameter-server.js';

/** Where a step's seconds went; together they are the step's. */
export interface StepParts {
  /** The busiest worker's engine stood idle for records to be read and decoded. */
  readonly data: number;
  /** That worker's engine computed the units that counted. */
  readonly compute: number;
  /** Summing gradients and publishing the version. */
  readonly exchange: number;
  /** L2, clipping and the optimizer. */
  readonly update: number;
  /** The rest: units on their way, and workers without one. */
  readonly wait: number;
}

/**
 * @param result of the step
 * @param total seconds from the version before to this one
 */
export function stepParts({ accepted, seconds }: Pick<StepResult, 'accepted' | 'seconds'>, total: number): StepParts {
  const workers = new Map<string, { data: number; compute: number }>();
  for (const { worker, dataSeconds, computeSeconds } of accepted) {
    const { data, compute } = workers.get(worker) ?? { data: 0, compute: 0 };
    workers.set(worker, { data: data + dataSeconds, compute: compute + computeSeconds });
  }
  let busiest = { data: 0, compute: 0 };
  for (const one of workers.values()) if (one.data + one.compute > busiest.data + busiest.compute) busiest = one;
  const exchange = seconds.sum + seconds.publish;
  const { update } = seconds;
  const compute = Math.min(busiest.compute, Math.max(0, total - exchange - update));
  // Data of a unit may be waited for while the step before is still being taken.
  const data = Math.min(busiest.data, Math.max(0, total - exchange - update - compute));
  return { data, compute, exchange, update, wait: Math.max(0, total - data - compute - exchange - update) };
}

import type { WorkerReport } from '@showtell/shared/generated/showtell/v1/parameters.js';

/** What a worker's engine did, as shares of its time; they add up to 1. */
export interface WorkerShares {
  readonly compute: number;
  /** It stood still for a decoded batch, the next version, a unit. */
  readonly data: number;
  readonly parameters: number;
  readonly unit: number;
}

/** Between two reports; null when neither worked nor waiting was noted, as within one long call. */
export function sharesBetween(before: WorkerReport | null, now: WorkerReport): WorkerShares | null {
  const compute = now.computeSeconds - (before?.computeSeconds ?? 0);
  const data = now.waitDataSeconds - (before?.waitDataSeconds ?? 0);
  const parameters = now.waitParametersSeconds - (before?.waitParametersSeconds ?? 0);
  const unit = now.waitUnitSeconds - (before?.waitUnitSeconds ?? 0);
  const all = compute + data + parameters + unit;
  return all > 0 ? { compute: compute / all, data: data / all, parameters: parameters / all, unit: unit / all } : null;
}

import type { WorkerMetrics } from './metrics.js';

/** What an idle engine waits for. */
export type WaitCause = 'data' | 'parameters' | 'unit';

/** How long a worker computed, and how long it waited for what. */
export class WaitingTimes {
  readonly seconds: Record<WaitCause, number> = { data: 0, parameters: 0, unit: 0 };
  computing = 0;

  constructor(private readonly metrics: WorkerMetrics) {}

  async waiting<T>(cause: WaitCause, work: Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      return await work;
    } finally {
      const seconds = secondsSince(began);
      this.seconds[cause] += seconds;
      this.metrics.series.wait.inc({ cause }, seconds);
    }
  }

  /** @returns the seconds noted */
  computed(kind: 'train' | 'evaluate', phase: 'decoder-only' | 'joint', began: number): number {
    const seconds = secondsSince(began);
    this.computing += seconds;
    this.metrics.series.compute.observe({ kind, phase }, seconds);
    return seconds;
  }
}

/** @param began as `performance.now()` told it */
export function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
}

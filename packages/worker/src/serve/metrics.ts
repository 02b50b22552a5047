import { openSeries, type SeriesRow, type SeriesSet } from '@showtell/shared/service/series.js';
import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Every series of `showtell serve`. */
export const serveSeries = {
  info: {
    type: 'gauge',
    name: 'showtell_serve_info',
    unit: '',
    labels: { job: "the job's name", engine: 'tensorflow, …', device: 'cpu, cuda', version: 'of showtell' },
    help: 'Always 1; its labels say what is served.',
  },
  requests: {
    type: 'counter',
    name: 'showtell_serve_requests_total',
    unit: '',
    labels: { status: "HTTP's: 200, 400, 413, 415, 422, 429, 500, 503; 499 when the client had gone" },
    help: 'Requests for captions, by how they were answered.',
  },
  duration: {
    type: 'histogram',
    name: 'showtell_serve_request_duration_seconds',
    unit: 'seconds',
    labels: {},
    help: 'From the first line of a request for captions to its answer, whatever that was.',
  },
  queue: {
    type: 'gauge',
    name: 'showtell_serve_queue_depth',
    unit: '',
    labels: {},
    help: 'Requests for captions that are accepted and not yet answered.',
  },
  batch: {
    type: 'histogram',
    name: 'showtell_serve_batch_size',
    unit: '',
    labels: {},
    help: 'Pictures captioned by one call of the engine.',
    buckets: [1, 2, 3, 4, 6, 8, 12, 16, 24, 32],
  },
  compute: {
    type: 'histogram',
    name: 'showtell_serve_compute_seconds',
    unit: 'seconds',
    labels: {},
    help: 'The engine at work on one batch: encoder and beam search.',
  },
} as const satisfies Record<string, SeriesRow>;

export interface ServeMetrics {
  readonly registry: Registry;
  readonly series: SeriesSet<typeof serveSeries>;
}

/** A registry with every row of {@link serveSeries} and prom-client's own of the process. */
export function openServeMetrics(): ServeMetrics {
  const metrics = openSeries(serveSeries);
  collectDefaultMetrics({ register: metrics.registry });
  // There from the start, so that the first failure is an increase.
  for (const status of ['200', '429', '500', '503']) metrics.series.requests.inc({ status }, 0);
  return metrics;
}

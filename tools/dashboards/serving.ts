import { dashboard, heat, lines, number, of, quantile, rate } from './grafana.js';

const requests = (...matchers: string[]): string => `sum(${rate('showtell_serve_requests_total', ...matchers)})`;
const ofServer = (series: string): string => `${series} and on (namespace, instance) ${of('showtell_serve_info')}`;
const quantiles = (histogram: string): Record<string, string> =>
  Object.fromEntries([0.5, 0.95, 0.99].map((q) => [`p${q * 100}`, quantile(q, histogram)]));

export const serving = dashboard({
  uid: 'showtell-serving',
  title: 'showtell: captions over HTTP',
  description: 'Latency, queue, batches and errors of showtell serve.',
  info: 'showtell_serve_info',
  rows: {
    'At a glance': [
      number({
        title: 'Requests a second',
        description: 'Requests for captions, however they were answered.',
        unit: 'reqps',
        width: 6,
        queries: { requests: requests() },
      }),
      number({
        title: 'Failing',
        description: 'Share of requests that were answered with 500 or 503.',
        unit: 'percentunit',
        ...{ width: 6, levels: { 0.01: 'yellow', 0.05: 'red' } },
        queries: { failing: `${requests('status=~"5.."')} / (${requests()} > 0)` },
      }),
      number({
        title: 'Latency, p95',
        description: 'One request in twenty takes longer.',
        unit: 's',
        ...{ width: 6, levels: { 2: 'yellow', 10: 'red' } },
        queries: { p95: quantile(0.95, 'showtell_serve_request_duration_seconds') },
      }),
      number({
        title: 'Queue',
        description: 'Requests that are accepted and not yet answered.',
        unit: 'none',
        ...{ width: 6, levels: { 32: 'yellow', 64: 'red' } },
        queries: { queue: `sum(${of('showtell_serve_queue_depth')})` },
      }),
    ],
    Requests: [
      lines({
        title: 'Requests by status',
        description:
          '200: captioned. 4xx: the request was at fault. 429: the queue is full or a client asks too often. 499: the client had gone. 5xx: the service was at fault.',
        unit: 'reqps',
        ...{ width: 12, stack: true },
        color: { 200: 'green', 429: 'yellow', 500: 'red', 503: 'orange' },
        queries: { '{{status}}': `sum by (status) (${rate('showtell_serve_requests_total')})` },
      }),
      lines({
        title: 'Failing and refused',
        description: 'Share of requests that were answered with 500 or 503, and with 429.',
        unit: 'percentunit',
        ...{ width: 12, min: 0, levels: { 0.05: 'red' } },
        queries: {
          failing: `${requests('status=~"5.."')} / (${requests()} > 0)`,
          refused: `${requests('status="429"')} / (${requests()} > 0)`,
        },
      }),
      lines({
        title: 'Latency',
        description: 'From the first line of a request to its answer, whatever that was.',
        unit: 's',
        width: 12,
        queries: quantiles('showtell_serve_request_duration_seconds'),
      }),
      heat({
        title: 'Latency, all of it',
        description: 'How many requests took how long.',
        unit: 's',
        queries: { '{{le}}': `sum by (le) (${rate('showtell_serve_request_duration_seconds_bucket')})` },
      }),
    ],
    'The engine': [
      lines({
        title: 'Queue',
        description:
          'Requests that are accepted and not yet answered, by instance. At --max-queue further ones get 429.',
        unit: 'none',
        min: 0,
        queries: { '{{instance}}': of('showtell_serve_queue_depth') },
      }),
      lines({
        title: 'Batch size',
        description: 'Pictures captioned by one call of the engine, on average. At --batch, it is busy all the time.',
        unit: 'none',
        min: 0,
        queries: {
          mean: `sum(${rate('showtell_serve_batch_size_sum')}) / sum(${rate('showtell_serve_batch_size_count')})`,
          p95: quantile(0.95, 'showtell_serve_batch_size'),
        },
      }),
      lines({
        title: 'Time of a batch',
        description: 'The engine at work on one batch: encoder and beam search.',
        unit: 's',
        queries: quantiles('showtell_serve_compute_seconds'),
      }),
      lines({
        title: 'Engine at work',
        description: 'Share of the time that the engine computes. Near 1 it is at its limit: more instances, or a GPU.',
        unit: 'percentunit',
        ...{ min: 0, max: 1, levels: { 0.9: 'red' } },
        queries: { '{{instance}}': rate('showtell_serve_compute_seconds_sum') },
      }),
      lines({
        title: 'Processor',
        description: 'Processor cores in use.',
        unit: 'short',
        min: 0,
        queries: { '{{instance}}': ofServer(rate('process_cpu_seconds_total')) },
      }),
      lines({
        title: 'Memory',
        description: 'Resident memory of the process.',
        unit: 'bytes',
        min: 0,
        queries: { '{{instance}}': ofServer(of('process_resident_memory_bytes')) },
      }),
    ],
  },
});

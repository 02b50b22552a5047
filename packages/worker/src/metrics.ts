import { openSeries, type SeriesRow, type SeriesSet } from '@showtell/shared/service/series.js';
import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Every series of a worker. */
export const workerSeries = {
  info: {
    type: 'gauge',
    name: 'showtell_worker_info',
    unit: '',
    labels: {
      worker: 'its name in the run',
      engine: 'tensorflow, webgpu, wasm',
      device: 'cpu, cuda',
      version: 'of showtell',
    },
    help: 'Always 1; its labels say which worker this is.',
  },
  version: {
    type: 'gauge',
    name: 'showtell_worker_parameter_version',
    unit: '',
    labels: {},
    help: 'The step whose parameters this worker holds.',
  },
  compute: {
    type: 'histogram',
    name: 'showtell_worker_compute_seconds',
    unit: 'seconds',
    labels: { kind: 'train, evaluate', phase: 'decoder-only, joint' },
    help: 'The engine at work on one unit.',
  },
  wait: {
    type: 'counter',
    name: 'showtell_worker_wait_seconds_total',
    unit: 'seconds',
    labels: { cause: 'data, parameters, unit' },
    help: 'Time the engine stood idle, by what it waited for: a decoded batch, the next version, a unit to work on.',
  },
  exchange: {
    type: 'histogram',
    name: 'showtell_worker_exchange_seconds',
    unit: 'seconds',
    labels: { direction: 'pull, push' },
    help: 'Moving one version of the parameters here, or one gradient to the parameter server.',
  },
  exchangeBytes: {
    type: 'counter',
    name: 'showtell_worker_exchange_bytes_total',
    unit: 'bytes',
    labels: { direction: 'received, sent' },
    help: 'Tensor bytes of parameters received and gradients sent, through shared memory or gRPC.',
  },
  units: {
    type: 'counter',
    name: 'showtell_worker_units_total',
    unit: '',
    labels: { outcome: 'accepted, duplicate, stale, invalid, given-back, failed' },
    help: 'Units taken, by how they were settled.',
  },
  examples: {
    type: 'counter',
    name: 'showtell_worker_examples_total',
    unit: '',
    labels: {},
    help: 'Image-caption pairs in units that were accepted.',
  },
  images: {
    type: 'counter',
    name: 'showtell_worker_images_total',
    unit: '',
    labels: { source: 'decoded, feature-cache' },
    help: 'Pictures made ready for the engine: decoded and resized, or their features found in the cache.',
  },
  decode: {
    type: 'histogram',
    name: 'showtell_worker_decode_seconds',
    unit: 'seconds',
    labels: {},
    help: 'Reading, decoding, resizing and distorting the pictures of one unit.',
  },
  corruptRecords: {
    type: 'counter',
    name: 'showtell_worker_corrupt_records_total',
    unit: '',
    labels: { kind: 'bytes, undecodable' },
    help: 'Records unlike their index (read again, the unit given back) and sound records that do not decode (skipped).',
  },
  graphs: {
    type: 'gauge',
    name: 'showtell_worker_compiled_graphs',
    unit: '',
    labels: {},
    help: 'Compiled graphs held, one a phase and shape.',
  },
  tensors: {
    type: 'gauge',
    name: 'showtell_worker_tensors',
    unit: '',
    labels: {},
    help: 'Tensors the engine holds; a number that grows from step to step is a leak.',
  },
  tensorBytes: {
    type: 'gauge',
    name: 'showtell_worker_tensor_bytes',
    unit: 'bytes',
    labels: {},
    help: 'Memory of those tensors.',
  },
  peakMemory: {
    type: 'gauge',
    name: 'showtell_worker_peak_memory_bytes',
    unit: 'bytes',
    labels: {},
    help: 'The most resident memory the process has had.',
  },
  reconnects: {
    type: 'counter',
    name: 'showtell_worker_reconnects_total',
    unit: '',
    labels: { to: 'nats, parameter-server' },
    help: 'Connections lost and had again.',
  },
} as const satisfies Record<string, SeriesRow>;

export interface WorkerMetrics {
  readonly registry: Registry;
  readonly series: SeriesSet<typeof workerSeries>;
}

/** A registry with every row of {@link workerSeries} and prom-client's own of the process (`process_*`, `nodejs_*`). */
export function openWorkerMetrics(): WorkerMetrics {
  const metrics = openSeries(workerSeries);
  collectDefaultMetrics({ register: metrics.registry });
  return metrics;
}

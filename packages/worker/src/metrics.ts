import { certificateExpiry } from '@showtell/shared/service/certificate-expiry.js';
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
  state: {
    type: 'gauge',
    name: 'showtell_worker_state',
    unit: '',
    labels: { state: 'starting, waiting, computing, draining, stopped' },
    help: '1 for what the worker does now, 0 for the others.',
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
    labels: { direction: 'pull, push', way: 'shared-memory, grpc' },
    help: 'Moving one version of the parameters here, or one gradient to the parameter server until its verdict, by the way the bytes went.',
  },
  exchangeBytes: {
    type: 'counter',
    name: 'showtell_worker_exchange_bytes_total',
    unit: 'bytes',
    labels: { direction: 'received, sent', way: 'shared-memory, grpc' },
    help: 'Tensor bytes of parameters received and gradients sent, by the way they went.',
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
  peakMemory: {
    type: 'gauge',
    name: 'showtell_worker_peak_memory_bytes',
    unit: 'bytes',
    labels: {},
    help: 'The most resident memory the process has had.',
  },
  gpuMemory: {
    type: 'gauge',
    name: 'showtell_worker_gpu_memory_used_bytes',
    unit: 'bytes',
    labels: { gpu: 'its UUID' },
    help: "Memory in use on the worker's GPU, by whomever, as nvidia-smi says. On CUDA only.",
  },
  gpuMemorySize: {
    type: 'gauge',
    name: 'showtell_worker_gpu_memory_bytes',
    unit: 'bytes',
    labels: { gpu: 'its UUID' },
    help: "Memory of the worker's GPU. On CUDA only.",
  },
  gpuUtilisation: {
    type: 'gauge',
    name: 'showtell_worker_gpu_utilisation_ratio',
    unit: '',
    labels: { gpu: 'its UUID' },
    help: 'Share of the last second or less in which a kernel ran on the GPU, from 0 to 1. On CUDA only.',
  },
  reconnects: {
    type: 'counter',
    name: 'showtell_worker_reconnects_total',
    unit: '',
    labels: { to: 'nats, parameter-server' },
    help: 'Connections lost and had again.',
  },
  certificateExpiry,
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

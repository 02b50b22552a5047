import { dashboard, lines, number, of, quantile, rate, table, timeline } from './grafana.js';
import { byWorker, named, worker } from './by-process.js';

export const workers = dashboard({
  uid: 'showtell-workers',
  title: 'showtell: workers',
  description: 'What each worker computes, what it waits for, and what its process takes of the machine.',
  info: 'showtell_run_info',
  rows: {
    'At a glance': [
      number({
        title: 'Workers',
        description: 'Workers present, as the coordinator counts them.',
        unit: 'none',
        levels: { below: 'red', 1: 'green' },
        queries: { workers: `sum(${of('showtell_workers')})` },
      }),
      number({
        title: 'Utilisation',
        description: 'Share of the time that engines compute rather than wait, on average over the workers.',
        unit: 'percentunit',
        ...{ width: 4, levels: { below: 'red', 0.5: 'yellow', 0.8: 'green' } },
        queries: {
          computing: `sum(${rate('showtell_worker_compute_seconds_sum')}) / (sum(${rate('showtell_worker_compute_seconds_sum')}) + sum(${rate('showtell_worker_wait_seconds_total')}))`,
        },
      }),
      number({
        title: 'Scaling efficiency',
        description:
          "Share of the workers' time that goes into training. If it stays while workers are added, the run gets faster in proportion.",
        unit: 'percentunit',
        ...{ width: 4, levels: { below: 'red', 0.5: 'yellow', 0.8: 'green' } },
        queries: {
          efficiency: `sum(${rate('showtell_worker_compute_seconds_sum', 'kind="train"')}) / (sum(${of('showtell_workers')}) > 0)`,
        },
      }),
      number({
        title: 'Workers refused',
        description:
          'Turned away in the last hour: another version, job or data, or an engine that computes other bits.',
        unit: 'none',
        ...{ decimals: 0, levels: { 1: 'red' } },
        queries: { refused: `sum(increase(${of('showtell_workers_refused_total')}[1h]))` },
      }),
    ],
    Work: [
      table({
        title: 'Who is there',
        description: 'Each worker with its engine, device and version.',
        unit: 'none',
        hide: ['Value', '__name__', 'job', 'app_kubernetes_io_component'],
        queries: { workers: of('showtell_worker_info') },
      }),
      timeline({
        title: 'Computing now',
        description: 'Each worker a band, filled while its engine computes a unit as Prometheus asks.',
        unit: 'none',
        levels: { below: 'transparent', 1: 'green' },
        queries: {
          [worker]: named(`sum by (namespace, instance) (${of('showtell_worker_state', 'state="computing"')})`),
        },
      }),
      lines({
        title: 'Workers present',
        description: 'As the coordinator counts them: steps in the line are workers that join, leave or die.',
        unit: 'none',
        min: 0,
        queries: { '{{app_kubernetes_io_instance}}': of('showtell_workers') },
      }),
      lines({
        title: 'Computing',
        description: "Share of the time that each worker's engine is at work.",
        unit: 'percentunit',
        ...{ min: 0, max: 1 },
        queries: { [worker]: byWorker(rate('showtell_worker_compute_seconds_sum')) },
      }),
      lines({
        title: 'Waiting by cause',
        description:
          'Share of the time that engines stand idle, on average over the workers: for a decoded batch (data), the next version (parameters), or a unit to work on.',
        unit: 'percentunit',
        ...{ stack: true, min: 0 },
        queries: { '{{cause}}': `avg by (cause) (${rate('showtell_worker_wait_seconds_total')})` },
      }),
      lines({
        title: 'Waiting for a unit',
        description:
          'Share of the time that each worker has nothing to do: the queue is empty for it, because there are more workers than units in a step, or the broker is away.',
        unit: 'percentunit',
        min: 0,
        queries: { [worker]: byWorker(rate('showtell_worker_wait_seconds_total', 'cause="unit"')) },
      }),
      lines({
        title: 'Time of a unit',
        description:
          'What the engine takes for one unit of training, on average. The slowest worker sets the time of a step.',
        unit: 's',
        queries: {
          [worker]: named(
            `(sum by (namespace, instance) (${rate('showtell_worker_compute_seconds_sum', 'kind="train"')}) / sum by (namespace, instance) (${rate('showtell_worker_compute_seconds_count', 'kind="train"')}))`,
          ),
        },
      }),
      lines({
        title: 'Time to read and decode',
        description: 'Reading, decoding, resizing and distorting the pictures of one unit.',
        unit: 's',
        queries: {
          p50: quantile(0.5, 'showtell_worker_decode_seconds'),
          p90: quantile(0.9, 'showtell_worker_decode_seconds'),
        },
      }),
      lines({
        title: 'Images a second',
        description: 'Pairs of each worker that counted.',
        unit: 'short',
        stack: true,
        queries: { [worker]: byWorker(rate('showtell_worker_examples_total')) },
      }),
    ],
    Exchange: [
      lines({
        title: 'Bytes of each worker',
        description: 'Parameters received and gradients sent.',
        unit: 'Bps',
        queries: { [worker]: byWorker(rate('showtell_worker_exchange_bytes_total')) },
      }),
      lines({
        title: 'Time to pull and push',
        description:
          'Moving one version of the parameters to a worker, or one gradient to the parameter server: what one in ten takes longer than.',
        unit: 's',
        queries: { '{{direction}}': quantile(0.9, 'showtell_worker_exchange_seconds', { by: ['direction'] }) },
      }),
      lines({
        title: 'Steps behind',
        description:
          'How many versions the parameters that a worker holds lie behind the newest. More than one for long: it stands still.',
        unit: 'none',
        min: 0,
        queries: {
          [worker]: `(max by (namespace, app_kubernetes_io_instance) (${of('showtell_step')}) - on (namespace, app_kubernetes_io_instance) group_right () ${of('showtell_worker_parameter_version')}) * on (namespace, instance) group_left (worker) ${of('showtell_worker_info')}`,
        },
      }),
      lines({
        title: 'Connections lost',
        description:
          'Connections to NATS and to the parameter server that workers lost and had again, in the last hour.',
        unit: 'none',
        min: 0,
        queries: { '{{to}}': `sum by (to) (increase(${of('showtell_worker_reconnects_total')}[1h]))` },
      }),
      lines({
        title: 'Damaged records',
        description:
          'In the last hour. bytes: unlike the index, the unit was given back. undecodable: sound, but not a picture; skipped.',
        unit: 'none',
        min: 0,
        queries: { '{{kind}}': `sum by (kind) (increase(${of('showtell_worker_corrupt_records_total')}[1h]))` },
      }),
    ],
    Machines: [
      lines({
        title: 'Processor of workers',
        description: 'Processor cores in use.',
        unit: 'short',
        min: 0,
        queries: { [worker]: byWorker(rate('process_cpu_seconds_total')) },
      }),
      lines({
        title: 'Memory of workers',
        description: 'Resident memory of the process.',
        unit: 'bytes',
        min: 0,
        queries: { [worker]: byWorker(of('process_resident_memory_bytes')) },
      }),
      lines({
        title: 'Tensors of workers',
        description: 'Tensors that each engine holds; a number that grows from step to step is a leak.',
        unit: 'none',
        min: 0,
        queries: { [worker]: byWorker(of('showtell_worker_tensors')) },
      }),
    ],
    GPU: [
      lines({
        title: 'GPU at work',
        description:
          'Share of the time that a kernel runs on the GPU, as nvidia-smi says. Low: the worker waits, or its batch is small.',
        unit: 'percentunit',
        ...{ min: 0, max: 1 },
        queries: { [worker]: named(`avg by (namespace, instance) (${of('showtell_worker_gpu_utilisation_ratio')})`) },
      }),
      lines({
        title: 'GPU memory',
        description: "Memory in use on each worker's GPU, by whomever.",
        unit: 'bytes',
        ...{ min: 0 },
        queries: { [worker]: byWorker(of('showtell_worker_gpu_memory_used_bytes')) },
      }),
      lines({
        title: 'GPU memory, share',
        description: "Of each worker's GPU. Near 1 the next larger shape may not fit.",
        unit: 'percentunit',
        ...{ min: 0, max: 1, levels: { 0.95: 'red' } },
        queries: {
          [worker]: named(
            `(sum by (namespace, instance) (${of('showtell_worker_gpu_memory_used_bytes')}) / sum by (namespace, instance) (${of('showtell_worker_gpu_memory_bytes')}))`,
          ),
        },
      }),
    ],
  },
});

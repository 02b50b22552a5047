import { dashboard, lines, number, of, quantile, rate, table } from './grafana.mjs';

/** Gives the series of a worker's process the worker's name. */
const named = (expression) =>
  `${expression} * on (namespace, instance) group_left (worker) ${of('showtell_worker_info')}`;
const byWorker = (expression) => named(`sum by (namespace, instance) (${expression})`);
const worker = '{{worker}}';
const ofWorker = (series) => named(`sum by (namespace, instance) (${series})`);
const ofCoordinator = (series) => `${series} and on (namespace, instance) ${of('showtell_run_info')}`;

export const cluster = dashboard({
  uid: 'showtell-cluster',
  title: 'showtell: cluster',
  description: 'What the workers, the queue, the parameter server and their machines are doing.',
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
        title: 'Offered again',
        description: 'Units offered again in the last hour, other than those that workers gave back in order.',
        unit: 'none',
        ...{ decimals: 0, levels: { 5: 'yellow', 50: 'red' } },
        queries: { units: `sum(increase(${of('showtell_units_redelivered_total', 'reason!="given-back"')}[1h]))` },
      }),
      number({
        title: 'Workers refused',
        description:
          'Turned away in the last hour: another version, job or data, or an engine that computes other bits.',
        unit: 'none',
        ...{ decimals: 0, levels: { 1: 'red' } },
        queries: { refused: `sum(increase(${of('showtell_workers_refused_total')}[1h]))` },
      }),
      number({
        title: 'Bytes a step',
        description: 'Gradients received and parameters sent for one step.',
        unit: 'bytes',
        queries: {
          bytes: `sum(${rate('showtell_exchange_bytes_total')}) / sum(${rate('showtell_step_duration_seconds_count')})`,
        },
      }),
    ],
    Workers: [
      table({
        title: 'Who is there',
        description: 'Each worker with its engine, device and version.',
        unit: 'none',
        hide: ['Value', '__name__', 'job', 'app_kubernetes_io_component'],
        queries: { workers: of('showtell_worker_info') },
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
    'Queue and leases': [
      lines({
        title: 'Units by outcome',
        description: 'Units taken, by how they were settled.',
        unit: 'ops',
        color: { accepted: 'green', failed: 'red', invalid: 'red' },
        queries: { '{{outcome}}': `sum by (outcome) (${rate('showtell_worker_units_total')})` },
      }),
      lines({
        title: 'Units offered again',
        description:
          'By reason: the worker died or said nothing for a lease, could not compute it, was too slow, gave it back, or the broker was away.',
        unit: 'ops',
        queries: { '{{reason}}': `sum by (reason) (${rate('showtell_units_redelivered_total')})` },
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
        title: 'Connections lost',
        description:
          'Connections to NATS and to the parameter server that workers lost and had again, in the last hour.',
        unit: 'none',
        min: 0,
        queries: { '{{to}}': `sum by (to) (increase(${of('showtell_worker_reconnects_total')}[1h]))` },
      }),
      lines({
        title: 'Workers refused',
        description: 'Turned away on joining in the last hour, by reason.',
        unit: 'none',
        min: 0,
        queries: { '{{reason}}': `sum by (reason) (increase(${of('showtell_workers_refused_total')}[1h]))` },
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
    Exchange: [
      lines({
        title: 'Bytes exchanged',
        description:
          'Tensor bytes at the parameter server: gradients received, parameters sent, through shared memory or gRPC.',
        unit: 'Bps',
        queries: { '{{direction}}': `sum by (direction) (${rate('showtell_exchange_bytes_total')})` },
      }),
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
    ],
    Machines: [
      lines({
        title: 'Processor of workers',
        description: 'Processor cores in use.',
        unit: 'short',
        min: 0,
        queries: { [worker]: ofWorker(rate('process_cpu_seconds_total')) },
      }),
      lines({
        title: 'Memory of workers',
        description: 'Resident memory of the process.',
        unit: 'bytes',
        min: 0,
        queries: { [worker]: ofWorker(of('process_resident_memory_bytes')) },
      }),
      lines({
        title: 'Tensors of workers',
        description: 'Tensors that each engine holds; a number that grows from step to step is a leak.',
        unit: 'none',
        min: 0,
        queries: { [worker]: ofWorker(of('showtell_worker_tensors')) },
      }),
      lines({
        title: 'Processor of the coordinator',
        description: 'Processor cores in use, the parameter server and its threads included.',
        unit: 'short',
        min: 0,
        queries: { '{{app_kubernetes_io_instance}}': ofCoordinator(rate('process_cpu_seconds_total')) },
      }),
      lines({
        title: 'Memory of the coordinator',
        description: 'Resident memory, the parameter server included.',
        unit: 'bytes',
        min: 0,
        queries: { '{{app_kubernetes_io_instance}}': ofCoordinator(of('process_resident_memory_bytes')) },
      }),
      lines({
        title: 'Lag of event loops',
        description:
          'What one turn in a hundred takes longer than. A coordinator that lags by seconds extends leases late.',
        unit: 's',
        ...{ min: 0, levels: { 1: 'red' } },
        queries: {
          coordinator: ofCoordinator(of('nodejs_eventloop_lag_p99_seconds')),
          [worker]: ofWorker(of('nodejs_eventloop_lag_p99_seconds')),
        },
      }),
      lines({
        title: 'Open files',
        description: 'Of what the limit allows.',
        unit: 'percentunit',
        ...{ min: 0, levels: { 0.8: 'red' } },
        queries: {
          '{{instance}}': `${of('process_open_fds')} / ${of('process_max_fds')}`,
        },
      }),
    ],
  },
});

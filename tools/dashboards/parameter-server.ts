import { ofCoordinator, ofShard, byWorker, worker } from './by-process.js';
import { dashboard, lines, mean, number, of, rate } from './grafana.js';

export const parameterServer = dashboard({
  uid: 'showtell-parameter-server',
  title: 'showtell: parameter server and NATS',
  description: 'The units on the queue, the exchange of gradients and parameters, and the process that serves them.',
  info: 'showtell_run_info',
  rows: {
    'At a glance': [
      number({
        title: 'Offered again',
        description: 'Units offered again in the last hour, other than those that workers gave back in order.',
        unit: 'none',
        ...{ decimals: 0, levels: { 5: 'yellow', 50: 'red' } },
        queries: { units: `sum(increase(${of('showtell_units_redelivered_total', 'reason!="given-back"')}[1h]))` },
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
    'Queue and leases': [
      lines({
        title: 'Units in the queue',
        description:
          'As NATS counts them: offered in the lane of the current step (now) or of the steps after it (ahead), and taken but not settled.',
        unit: 'none',
        ...{ stack: true, min: 0 },
        queries: { '{{lane}}, {{state}}': `sum by (lane, state) (${of('showtell_queue_units')})` },
      }),
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
        title: 'Workers refused',
        description: 'Turned away on joining in the last hour, by reason.',
        unit: 'none',
        min: 0,
        queries: { '{{reason}}': `sum by (reason) (increase(${of('showtell_workers_refused_total')}[1h]))` },
      }),
    ],
    Exchange: [
      lines({
        title: 'Bytes exchanged',
        description: 'Tensor bytes at the parameter server: gradients received, parameters sent, by the way they went.',
        unit: 'Bps',
        queries: {
          '{{direction}}, {{way}}': `sum by (direction, way) (${rate('showtell_exchange_bytes_total')})`,
        },
      }),
      lines({
        title: 'Time to pull and push',
        description:
          'Moving one version of the parameters to a worker, or one gradient here until its verdict, by the way the bytes went: the mean.',
        unit: 's',
        queries: { '{{direction}}, {{way}}': mean('showtell_worker_exchange_seconds', { by: ['direction', 'way'] }) },
      }),
    ],
    'Shards (of runs with several)': [
      lines({
        title: 'Shards open',
        description: "Shards that the run's coordinator has opened; fewer than there are: one was lost, or waits.",
        unit: 'none',
        min: 0,
        queries: {
          '{{app_kubernetes_io_instance}}': `sum by (app_kubernetes_io_instance) (${of('showtell_shard_open')})`,
        },
      }),
      lines({
        title: 'Gradients at the shards',
        description:
          'Parts of gradients that workers left, and that the coordinator had added, found missing or not finite, or that were refused.',
        unit: 'ops',
        color: { added: 'green', missing: 'red', 'not-finite': 'red', refused: 'yellow' },
        queries: { '{{outcome}}': `sum by (outcome) (${rate('showtell_shard_gradients_total')})` },
      }),
      lines({
        title: 'Version of each shard',
        description: 'Updates applied to the current version. Shards of one run go together.',
        unit: 'none',
        queries: { '{{app_kubernetes_io_instance}}, {{instance}}': of('showtell_shard_step') },
      }),
      lines({
        title: 'Parameters of each shard',
        description: 'Bytes of the parameters that it holds, its part of the run.',
        unit: 'bytes',
        ...{ stack: true, min: 0 },
        queries: { '{{app_kubernetes_io_instance}}, {{instance}}': of('showtell_shard_parameters_bytes') },
      }),
      lines({
        title: 'Processor of each shard',
        description: 'Processor cores in use, its threads included.',
        unit: 'short',
        min: 0,
        queries: { '{{app_kubernetes_io_instance}}, {{instance}}': ofShard(rate('process_cpu_seconds_total')) },
      }),
      lines({
        title: 'Memory of each shard',
        description: 'Resident memory: versions, what the optimizer keeps, and gradients that wait.',
        unit: 'bytes',
        min: 0,
        queries: { '{{app_kubernetes_io_instance}}, {{instance}}': ofShard(of('process_resident_memory_bytes')) },
      }),
    ],
    Process: [
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
          [worker]: byWorker(of('nodejs_eventloop_lag_p99_seconds')),
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

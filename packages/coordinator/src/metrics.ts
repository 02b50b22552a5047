import { refusalReasons } from '@showtell/shared/security/refusal.js';
import { certificateExpiry } from '@showtell/shared/service/certificate-expiry.js';
import { openSeries, type SeriesRow, type SeriesSet } from '@showtell/shared/service/series.js';
import { collectDefaultMetrics, type Registry } from 'prom-client';

const phase = { phase: 'decoder-only, joint' };

/** Every series of the coordinator, the parameter server in its process included. */
export const coordinatorSeries = {
  runInfo: {
    type: 'gauge',
    name: 'showtell_run_info',
    unit: '',
    labels: { run: 'name of the run', job: 'hash of the numeric fields of its job', version: 'of showtell' },
    help: 'Always 1; its labels say which run this is. Only while this coordinator leads it.',
  },

  step: {
    type: 'gauge',
    name: 'showtell_step',
    unit: '',
    labels: {},
    help: 'Steps applied to the parameters so far: the version that workers are given.',
  },
  stepsPlanned: {
    type: 'gauge',
    name: 'showtell_steps_planned',
    unit: '',
    labels: {},
    help: 'Steps after which the job is complete.',
  },
  phase: {
    type: 'gauge',
    name: 'showtell_phase',
    unit: '',
    labels: phase,
    help: '1 for the phase the run is in, 0 for the other.',
  },
  lineage: {
    type: 'gauge',
    name: 'showtell_lineage',
    unit: '',
    labels: {},
    help: 'Rollbacks of the run so far.',
  },
  paused: {
    type: 'gauge',
    name: 'showtell_paused',
    unit: '',
    labels: {},
    help: '1 while a person has paused the run, 0 otherwise.',
  },
  generation: {
    type: 'gauge',
    name: 'showtell_generation',
    unit: '',
    labels: {},
    help: 'How many coordinators have led the run, this one included.',
  },
  examples: {
    type: 'counter',
    name: 'showtell_examples_total',
    unit: '',
    labels: {},
    help: 'Image-caption pairs whose gradients were applied.',
  },
  epoch: {
    type: 'gauge',
    name: 'showtell_epoch',
    unit: '',
    labels: {},
    help: 'Passes over the training records, with the fraction of the present one.',
  },

  stepDuration: {
    type: 'histogram',
    name: 'showtell_step_duration_seconds',
    unit: 'seconds',
    labels: phase,
    help: 'From one version of the parameters to the next.',
  },
  stepPart: {
    type: 'histogram',
    name: 'showtell_step_part_seconds',
    unit: 'seconds',
    labels: { part: 'compute, wait, exchange, update' },
    help: 'Where a step goes: the slowest unit computing, waiting for units to be taken, moving gradients and parameters, sum and optimizer.',
  },
  staleness: {
    type: 'histogram',
    name: 'showtell_update_staleness',
    unit: '',
    labels: {},
    buckets: [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024],
    help: 'Asynchronous jobs: updates between the version a gradient was computed with and the one it was applied to.',
  },
  loss: {
    type: 'gauge',
    name: 'showtell_loss',
    unit: '',
    labels: {},
    help: 'Training loss of the latest step: natural-log cross entropy a word, without the L2 term.',
  },
  gradientNorm: {
    type: 'gauge',
    name: 'showtell_gradient_norm',
    unit: '',
    labels: {},
    help: 'Global norm of the latest averaged gradient, before clipping.',
  },
  gradientClip: {
    type: 'gauge',
    name: 'showtell_gradient_clip',
    unit: '',
    labels: {},
    help: 'The largest norm of a gradient: longer ones are cut to it.',
  },
  learningRate: {
    type: 'gauge',
    name: 'showtell_learning_rate',
    unit: '',
    labels: {},
    help: 'Learning rate of the latest step.',
  },

  perplexity: {
    type: 'gauge',
    name: 'showtell_perplexity',
    unit: '',
    labels: {},
    help: 'Perplexity a word on the validation set, at the latest evaluation.',
  },
  bleu: {
    type: 'gauge',
    name: 'showtell_bleu',
    unit: '',
    labels: { n: '1, 2, 3, 4' },
    help: 'BLEU of beam-search captions on the validation subset, at the latest evaluation, from 0 to 1.',
  },
  rougeL: {
    type: 'gauge',
    name: 'showtell_rouge_l',
    unit: '',
    labels: {},
    help: 'ROUGE-L of the same captions, from 0 to 1.',
  },
  cider: {
    type: 'gauge',
    name: 'showtell_cider',
    unit: '',
    labels: {},
    help: 'CIDEr of the same captions, from 0 to 10.',
  },
  novelty: {
    type: 'gauge',
    name: 'showtell_novelty',
    unit: '',
    labels: {},
    help: 'Share of the same captions that no training caption equals, from 0 to 1.',
  },
  colorAccuracy: {
    type: 'gauge',
    name: 'showtell_color_accuracy',
    unit: '',
    labels: {},
    help: 'Share of the same captions that name the right colours, among pictures whose references agree on one, from 0 to 1.',
  },
  evaluationDuration: {
    type: 'histogram',
    name: 'showtell_evaluation_duration_seconds',
    unit: 'seconds',
    labels: {},
    help: 'One evaluation, from its first unit offered to its scores.',
  },
  rollbacks: {
    type: 'counter',
    name: 'showtell_rollbacks_total',
    unit: '',
    labels: {},
    help: 'Returns to the checkpoint at the phase switch because BLEU fell.',
  },

  workers: {
    type: 'gauge',
    name: 'showtell_workers',
    unit: '',
    labels: {},
    help: 'Workers present.',
  },
  queueUnits: {
    type: 'gauge',
    name: 'showtell_queue_units',
    unit: '',
    labels: { lane: 'now, ahead', state: 'pending, unacknowledged' },
    help: 'Units in the queue, as NATS last said: offered and taken by nobody, or taken and not settled. Absent while the broker is away.',
  },
  unitsRedelivered: {
    type: 'counter',
    name: 'showtell_units_redelivered_total',
    unit: '',
    labels: {
      reason: 'worker-lost, worker-silent, unit-failed, refused, too-stale, straggler, broker-lost, given-back',
    },
    help: 'Units offered again: by the coordinator, or by the broker after a worker gave one back.',
  },
  unitsDuplicate: {
    type: 'counter',
    name: 'showtell_units_duplicate_total',
    unit: '',
    labels: {},
    help: 'Gradients dropped because one for the same unit had come first, another worker’s or the same again.',
  },
  unitsStale: {
    type: 'counter',
    name: 'showtell_units_stale_total',
    unit: '',
    labels: {},
    help: 'Gradients dropped because they were of an older version, generation or lineage.',
  },
  unitsInvalid: {
    type: 'counter',
    name: 'showtell_units_invalid_total',
    unit: '',
    labels: {},
    help: 'Gradients refused: a shape that does not fit, or values that are not finite.',
  },
  workersRefused: {
    type: 'counter',
    name: 'showtell_workers_refused_total',
    unit: '',
    labels: { reason: 'version, run, job, data, canary' },
    help: 'Workers turned away on joining.',
  },
  refused: {
    type: 'counter',
    name: 'showtell_refused_total',
    unit: '',
    labels: { reason: refusalReasons.join(', ') },
    help: 'Connections, calls and messages refused: a certificate, a role, an identity or a limit.',
  },
  certificateExpiry,
  corruptRecords: {
    type: 'counter',
    name: 'showtell_corrupt_records_total',
    unit: '',
    labels: {},
    help: 'Records that were skipped because sound bytes did not decode, as workers reported them.',
  },
  exchangeBytes: {
    type: 'counter',
    name: 'showtell_exchange_bytes_total',
    unit: 'bytes',
    labels: { direction: 'received, sent', way: 'shared-memory, grpc' },
    help: 'Tensor bytes of gradients received and parameters sent, by the way they went.',
  },

  checkpoints: {
    type: 'counter',
    name: 'showtell_checkpoints_total',
    unit: '',
    labels: { result: 'saved, failed' },
    help: 'Checkpoints attempted.',
  },
  checkpointStep: {
    type: 'gauge',
    name: 'showtell_checkpoint_step',
    unit: '',
    labels: {},
    help: 'Step of the newest whole checkpoint: what a crash would fall back to.',
  },
  checkpointDuration: {
    type: 'histogram',
    name: 'showtell_checkpoint_duration_seconds',
    unit: 'seconds',
    labels: {},
    help: 'Writing one checkpoint, beside the training that goes on.',
  },
  checkpointBytes: {
    type: 'gauge',
    name: 'showtell_checkpoint_bytes',
    unit: 'bytes',
    labels: {},
    help: 'Size of the newest checkpoint.',
  },
  diskFree: {
    type: 'gauge',
    name: 'showtell_run_disk_free_bytes',
    unit: 'bytes',
    labels: {},
    help: "What the coordinator may still write where the run's folder lies.",
  },
  diskSize: {
    type: 'gauge',
    name: 'showtell_run_disk_size_bytes',
    unit: 'bytes',
    labels: {},
    help: "Size of the disk where the run's folder lies.",
  },
} as const satisfies Record<string, SeriesRow>;

export interface CoordinatorMetrics {
  readonly registry: Registry;
  readonly series: SeriesSet<typeof coordinatorSeries>;
}

/** A registry with every row of {@link coordinatorSeries} and prom-client's own of the process (`process_*`, `nodejs_*`). */
export function openCoordinatorMetrics(): CoordinatorMetrics {
  const metrics = openSeries(coordinatorSeries);
  collectDefaultMetrics({ register: metrics.registry });
  return metrics;
}

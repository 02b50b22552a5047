import { dashboard, lines, mean, number, of, quantile, rate, timeline } from './grafana.js';

const parts = { compute: 'green', wait: 'yellow', exchange: 'blue', update: 'purple' };
const name = '{{app_kubernetes_io_instance}}';

export const trainingRun = dashboard({
  uid: 'showtell-run',
  title: 'showtell: training run',
  description: 'How far a run is, whether it learns, how fast it goes, and what a crash would cost.',
  info: 'showtell_run_info',
  events: {
    'phase switch': `changes(${of('showtell_phase', 'phase="joint"')}[1m]) > 0`,
    rollback: `increase(${of('showtell_rollbacks_total')}[1m]) > 0`,
    'another coordinator': `changes(${of('showtell_generation')}[1m]) > 0`,
  },
  rows: {
    'At a glance': [
      number({
        title: 'Progress',
        description: 'Steps taken, of those after which the job is complete.',
        unit: 'percentunit',
        queries: { [name]: `${of('showtell_step')} / (${of('showtell_steps_planned')} > 0)` },
      }),
      number({
        title: 'Step',
        description: 'Steps applied to the parameters.',
        unit: 'none',
        queries: { [name]: of('showtell_step') },
      }),
      number({
        title: 'Phase',
        description: 'decoder-only trains the decoder on a frozen encoder; joint trains both.',
        unit: 'none',
        name: true,
        queries: { '{{phase}}': `${of('showtell_phase')} == 1` },
      }),
      number({
        title: 'Time left',
        description:
          'Steps left at the speed of the last ten minutes. Evaluations, and slower steps of the joint phase, come on top.',
        unit: 's',
        queries: {
          [name]: `(${of('showtell_steps_planned')} - ${of('showtell_step')}) / on (namespace, instance) (sum by (namespace, instance) (rate(${of('showtell_step_duration_seconds_count')}[10m])) > 0)`,
        },
      }),
      number({
        title: 'Loss',
        description: 'Training loss of the latest step: cross entropy a word, without the L2 term.',
        unit: 'none',
        decimals: 3,
        queries: { [name]: of('showtell_loss') },
      }),
      number({
        title: 'BLEU-4',
        description:
          'Of beam-search captions on the validation subset, at the latest evaluation, from 0 to 1. im2txt reaches about 0.27 on MSCOCO.',
        unit: 'none',
        decimals: 3,
        queries: { [name]: of('showtell_bleu', 'n="4"') },
      }),
      number({
        title: 'Images a second',
        description: 'Image-caption pairs whose gradients were applied.',
        unit: 'short',
        decimals: 1,
        queries: { [name]: `sum by (app_kubernetes_io_instance) (${rate('showtell_examples_total')})` },
      }),
      number({
        title: 'Workers',
        description: 'Workers present.',
        unit: 'none',
        levels: { below: 'red', 1: 'green' },
        queries: { [name]: of('showtell_workers') },
      }),
      timeline({
        title: 'Phases',
        description:
          'Which phase the run was in, when, and when a person had paused it. A return to decoder-only is a rollback.',
        unit: 'none',
        levels: { below: 'transparent', 1: 'blue' },
        queries: { '{{phase}}': of('showtell_phase'), paused: of('showtell_paused') },
      }),
    ],
    Learning: [
      lines({
        title: 'Loss',
        description: 'Training loss of each step: natural-log cross entropy a word, without the L2 term.',
        unit: 'none',
        queries: { [name]: of('showtell_loss') },
      }),
      lines({
        title: 'Validation perplexity',
        description:
          'Perplexity a word on the validation set, at each evaluation. It ought to fall; where it rises while the loss falls, the run overfits.',
        unit: 'none',
        log: true,
        queries: { [name]: `${of('showtell_perplexity')} > 0` },
      }),
      lines({
        title: 'BLEU',
        description: 'BLEU-1 to BLEU-4 of beam-search captions on the validation subset, from 0 to 1.',
        unit: 'none',
        min: 0,
        queries: { 'BLEU-{{n}}': of('showtell_bleu') },
      }),
      lines({
        title: 'CIDEr',
        description: 'CIDEr of the same captions, from 0 to 10.',
        unit: 'none',
        min: 0,
        queries: { [name]: of('showtell_cider') },
      }),
      lines({
        title: 'ROUGE-L',
        description: 'ROUGE-L of the same captions, from 0 to 1.',
        unit: 'none',
        min: 0,
        queries: { [name]: of('showtell_rouge_l') },
      }),
      lines({
        title: 'Novelty and colours',
        description: 'Share of the captions that no training caption equals, and of those that name the right colours.',
        unit: 'percentunit',
        ...{ min: 0, max: 1 },
        queries: { novel: of('showtell_novelty'), 'right colours': of('showtell_color_accuracy') },
      }),
      lines({
        title: 'Learning rate',
        description: 'Learning rate of the latest step.',
        unit: 'none',
        log: true,
        queries: { [name]: `${of('showtell_learning_rate')} > 0` },
      }),
      lines({
        title: 'Gradient norm and clip',
        description: 'Global norm of the averaged gradient before clipping, and the norm that longer ones are cut to.',
        unit: 'none',
        log: true,
        color: { clip: 'red' },
        queries: { norm: `${of('showtell_gradient_norm')} > 0`, clip: `${of('showtell_gradient_clip')} > 0` },
      }),
      lines({
        title: 'Gradients that did not count',
        description:
          'Refused: not finite, or of another shape. Late: of an older version. Second: another came first for the same unit. Late and second ones cost time, never a bit.',
        unit: 'ops',
        color: { refused: 'red' },
        queries: {
          refused: rate('showtell_units_invalid_total'),
          late: rate('showtell_units_stale_total'),
          second: rate('showtell_units_duplicate_total'),
        },
      }),
    ],
    Speed: [
      lines({
        title: 'Step time',
        description:
          'From one version of the parameters to the next: median, and what one step in ten and in a hundred takes longer than.',
        unit: 's',
        queries: Object.fromEntries(
          [0.5, 0.9, 0.99].map((q) => [`p${q * 100}`, quantile(q, 'showtell_step_duration_seconds')]),
        ),
      }),
      lines({
        title: 'Step by part',
        description:
          'Where a step goes, on average: the slowest unit computing, waiting for units to be taken, moving gradients and parameters, sum and optimizer.',
        unit: 's',
        stack: true,
        color: parts,
        queries: { '{{part}}': mean('showtell_step_part_seconds', { by: ['part'] }) },
      }),
      lines({
        title: 'Images a second',
        description: 'Pairs that counted, and pictures made ready: decoded, or their features found in the cache.',
        unit: 'short',
        queries: {
          trained: `sum(${rate('showtell_examples_total')})`,
          '{{source}}': `sum by (source) (${rate('showtell_worker_images_total')})`,
        },
      }),
      lines({
        title: 'Workers',
        description: 'Workers present, as the coordinator counts them.',
        unit: 'none',
        min: 0,
        queries: { [name]: of('showtell_workers') },
      }),
      lines({
        title: 'Bytes exchanged',
        description: 'Gradients that the parameter server receives and parameters that it sends.',
        unit: 'Bps',
        queries: { '{{direction}}': `sum by (direction) (${rate('showtell_exchange_bytes_total')})` },
      }),
      lines({
        title: 'Share of exchange and update',
        description: 'How much of a step the parameter server takes. Above one half, more workers do not help.',
        unit: 'percentunit',
        ...{ min: 0, max: 1, levels: { 0.5: 'red' } },
        queries: {
          [name]: `sum by (app_kubernetes_io_instance) (${rate('showtell_step_part_seconds_sum', 'part=~"exchange|update"')}) / sum by (app_kubernetes_io_instance) (${rate('showtell_step_part_seconds_sum')})`,
        },
      }),
      lines({
        title: 'Evaluation time',
        description: 'One evaluation, from its first unit offered to its scores.',
        unit: 's',
        queries: {
          [name]: `${of('showtell_evaluation_duration_seconds_sum')} / (${of('showtell_evaluation_duration_seconds_count')} > 0)`,
        },
      }),
      lines({
        title: 'Epochs',
        description: 'Passes over the training records, with the fraction of the present one.',
        unit: 'none',
        min: 0,
        queries: { [name]: of('showtell_epoch') },
      }),
    ],
    Checkpoints: [
      lines({
        title: 'Steps at risk',
        description: 'Steps since the newest whole checkpoint: what a crash would have to compute again.',
        unit: 'none',
        min: 0,
        queries: { [name]: `${of('showtell_step')} - ${of('showtell_checkpoint_step')}` },
      }),
      lines({
        title: 'Time to save',
        description: 'Writing one checkpoint, beside the training that goes on.',
        unit: 's',
        min: 0,
        queries: {
          [name]: `${of('showtell_checkpoint_duration_seconds_sum')} / (${of('showtell_checkpoint_duration_seconds_count')} > 0)`,
        },
      }),
      lines({
        title: 'Checkpoints',
        description: 'Attempted in the last hour, by how they ended.',
        unit: 'none',
        min: 0,
        color: { failed: 'red', saved: 'green' },
        queries: { '{{result}}': `sum by (result) (increase(${of('showtell_checkpoints_total')}[1h]))` },
      }),
      lines({
        title: "Room on the run's disk",
        description: 'What is free where the run lies, and the size of a checkpoint.',
        unit: 'bytes',
        min: 0,
        queries: { free: of('showtell_run_disk_free_bytes'), 'one checkpoint': of('showtell_checkpoint_bytes') },
      }),
      lines({
        title: 'Records skipped',
        description:
          'Records whose sound bytes do not decode, since the coordinator began. Past data.maxCorruptRecords the run stops.',
        unit: 'none',
        ...{ min: 0, levels: { 1: 'red' } },
        queries: { [name]: of('showtell_corrupt_records_total') },
      }),
      lines({
        title: 'Coordinators and rollbacks',
        description: 'How many coordinators have led the run, and how often it went back to the phase switch.',
        unit: 'none',
        min: 0,
        queries: { coordinators: of('showtell_generation'), rollbacks: of('showtell_lineage') },
      }),
    ],
  },
});

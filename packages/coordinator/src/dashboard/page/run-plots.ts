import { percent, seconds, short } from './format.js';
import { partNames, type EvaluationPoint } from './payload.js';
import type { PlotData, PlotSpec } from './plot.js';
import type { Range } from './plot-range.js';
import { stackedParts, type StepColumns } from './steps.js';

/** Bars that a phone still tells apart. */
const mostBars = 60;

/** The plots of a run, each with how its data come from what the page holds. */
export const runPlots: readonly (PlotSpec & {
  readonly data: (steps: StepColumns, evaluations: readonly EvaluationPoint[], range: Range) => PlotData;
})[] = [
  {
    id: 'loss',
    title: 'Training loss',
    note: 'Cross entropy a word, in nats. Line: mean of neighbouring steps; shade: their range.',
    kind: 'band',
    yMin: 0,
    format: short,
    lines: [{ name: 'loss', color: 'ink' }],
    data: ({ steps, loss }) => [steps, loss.high, loss.low, loss.mean],
  },
  {
    id: 'perplexity',
    title: 'Validation perplexity',
    note: 'Words the model hesitates between, on held-out captions. Lower is better.',
    kind: 'lines',
    scale: 'log',
    format: short,
    lines: [{ name: 'perplexity', color: 'ink', dots: true }],
    data: (_, evaluations) => [column(evaluations, 'step'), column(evaluations, 'perplexity')],
  },
  {
    id: 'bleu',
    title: 'Captions of held-out pictures',
    note: 'BLEU against what people wrote, and the share of captions that name the right colours.',
    kind: 'lines',
    yMin: 0,
    yMax: 1,
    format: (value) => value.toFixed(2),
    lines: [
      { name: 'BLEU-1', color: 'decoder', dots: true },
      { name: 'BLEU-4', color: 'joint', dots: true },
      { name: 'colours', color: 'third', dots: true, dash: true },
    ],
    data: (_, evaluations) => [
      column(evaluations, 'step'),
      evaluations.map(({ bleu }) => bleu?.[0] ?? null),
      evaluations.map(({ bleu }) => bleu?.[3] ?? null),
      column(evaluations, 'colorAccuracy'),
    ],
  },
  {
    id: 'seconds',
    title: 'Step time',
    note: 'From one version of the parameters to the next. Line: mean; shade: range.',
    kind: 'band',
    scale: 'log',
    format: seconds,
    lines: [{ name: 'step', color: 'decoder' }],
    data: ({ steps, seconds: times }) => [steps, times.high, times.low, times.mean],
  },
  {
    id: 'images',
    title: 'Images a second',
    note: 'Training examples that counted, by the time of their steps.',
    kind: 'band',
    yMin: 0,
    format: short,
    lines: [{ name: 'images/s', color: 'third' }],
    data: ({ steps, images }) => [steps, images.high, images.low, images.mean],
  },
  {
    id: 'anatomy',
    title: 'Where a step goes',
    note: 'Mean of neighbouring steps: the busiest worker computing and waiting for data, exchange, update, and the rest.',
    kind: 'bars',
    yMin: 0,
    format: seconds,
    lines: partNames.map((name) => ({ name, color: `part-${name}` })),
    data: (steps, _, range) => {
      const [middles, ...tops] = stackedParts(steps, range, mostBars);
      return [middles, ...tops.reverse()];
    },
  },
];

function column<K extends keyof EvaluationPoint>(points: readonly EvaluationPoint[], key: K): EvaluationPoint[K][] {
  return points.map((point) => point[key]);
}

/** What several runs are compared by: a line a run. */
export const comparedPlots: readonly (Omit<PlotSpec, 'lines'> & {
  readonly column: (steps: StepColumns, evaluations: readonly EvaluationPoint[]) => [number[], (number | null)[]];
})[] = [
  {
    id: 'loss',
    title: 'Training loss',
    note: 'Cross entropy a word, mean of neighbouring steps.',
    kind: 'lines',
    yMin: 0,
    format: short,
    column: ({ steps, loss }) => [steps, loss.mean],
  },
  {
    id: 'perplexity',
    title: 'Validation perplexity',
    note: 'Lower is better.',
    kind: 'lines',
    scale: 'log',
    format: short,
    column: (_, evaluations) => [column(evaluations, 'step'), column(evaluations, 'perplexity')],
  },
  {
    id: 'bleu',
    title: 'BLEU-4',
    note: 'Of captions of held-out pictures.',
    kind: 'lines',
    yMin: 0,
    format: (value) => value.toFixed(3),
    column: (_, evaluations) => [column(evaluations, 'step'), evaluations.map(({ bleu }) => bleu?.[3] ?? null)],
  },
  {
    id: 'colours',
    title: 'Right colours',
    note: 'Share of captions that name the right colours.',
    kind: 'lines',
    yMin: 0,
    yMax: 1,
    format: percent,
    column: (_, evaluations) => [column(evaluations, 'step'), column(evaluations, 'colorAccuracy')],
  },
  {
    id: 'seconds',
    title: 'Step time',
    note: 'Mean of neighbouring steps.',
    kind: 'lines',
    scale: 'log',
    format: seconds,
    column: ({ steps, seconds: times }) => [steps, times.mean],
  },
  {
    id: 'images',
    title: 'Images a second',
    note: 'Training examples that counted.',
    kind: 'lines',
    yMin: 0,
    format: short,
    column: ({ steps, images }) => [steps, images.mean],
  },
];

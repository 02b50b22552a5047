import type UPlot from 'uplot';
import { api } from './api.js';
import { byId, make } from './dom.js';
import { count, three } from './format.js';
import type { RunList, RunOverview } from './payload.js';
import { Plot, type PlotData } from './plot.js';
import { PlotBoard } from './plot-board.js';
import { comparedPlots } from './run-plots.js';
import { columnsOf } from './steps.js';

declare const uPlot: typeof UPlot;

/** Colours that stay apart in light and dark; more runs begin again, dashed. */
const colors = ['decoder', 'joint', 'third', 'fourth', 'fifth', 'ink'];
const again = 5_000;

interface Compared {
  readonly id: string;
  readonly overview: RunOverview;
}

/** Several runs beside one another. */
export async function openComparison({ runs }: RunList): Promise<void> {
  let compared = await fetchAll(runs);
  const lines = runs.map(({ id }, i) => {
    const color = colors[i % colors.length] ?? 'ink';
    return {
      name: id,
      color,
      dots: compared.every((one) => one.overview.summary.evaluations.length < 40),
      dash: i >= colors.length,
    };
  });
  const plots = comparedPlots.map(
    (spec) =>
      new Plot(
        {
          ...spec,
          lines: lines.map((line) => ({
            ...line,
            dots: line.dots && ['perplexity', 'bleu', 'colours'].includes(spec.id),
          })),
        },
        { marked: (range) => board.show(range), all: () => board.showAll(), key: (event) => board.key(event) },
      ),
  );
  byId('plots').replaceChildren(...plots.map(({ element }) => element));
  const board: PlotBoard = new PlotBoard(plots, {
    all: () => ({
      min: Math.min(...compared.map(({ overview }) => overview.summary.firstStep)),
      max: Math.max(4, ...compared.map(({ overview }) => overview.history.last)),
    }),
    data: (plot) => {
      const spec = comparedPlots.find(({ id }) => id === plot.spec.id);
      const tables = compared.map(({ overview }): PlotData => {
        return spec?.column(columnsOf(overview.history), overview.summary.evaluations) ?? [[], []];
      });
      return uPlot.join(tables);
    },
    moved: () => undefined,
  });
  const show = (): void => {
    byId('run-rows').replaceChildren(...compared.map((one, i) => row(one, lines[i]?.color ?? 'ink')));
    board.draw();
  };
  show();
  setInterval(() => {
    if (!compared.some(({ overview }) => ['training', 'paused'].includes(overview.now.state))) return;
    fetchAll(runs).then(
      (fetched) => {
        compared = fetched;
        show();
      },
      () => undefined,
    );
  }, again);
}

function fetchAll(runs: RunList['runs']): Promise<Compared[]> {
  return Promise.all(runs.map(async ({ id }) => ({ id, overview: await api.overview(id) })));
}

function row({ id, overview: { summary, now } }: Compared, color: string): HTMLElement {
  const last = summary.evaluations.at(-1);
  return make(
    'tr',
    {},
    make(
      'th',
      { scope: 'row' },
      make('i', { class: `key ${color}`, 'aria-hidden': 'true' }),
      ' ',
      make('a', { href: `?run=${encodeURIComponent(id)}` }, id),
    ),
    make('td', {}, summary.name),
    make('td', {}, summary.outcome?.outcome ?? now.state),
    make('td', {}, `${count(now.step)} of ${count(summary.totalSteps)}`),
    make('td', {}, summary.switchedAt === null ? '–' : count(summary.switchedAt)),
    make('td', {}, last === undefined ? '–' : last.perplexity.toFixed(2)),
    make('td', {}, three(last?.bleu?.[3] ?? null)),
    make('td', {}, three(last?.cider ?? null)),
    make('td', {}, three(last?.colorAccuracy ?? null)),
  );
}

import { byId, make, setText } from './dom.js';
import { clock, count, duration, percent, short } from './format.js';
import type { EvaluationPoint, RunNow, Summary } from './payload.js';

const states = {
  training: ['training', 'good'],
  paused: ['paused', 'bad'],
  finished: ['finished', 'good'],
  'not running': ['not running', 'bad'],
} as const;

/** Name, state and the figures that matter most. */
export function showHeadline(
  summary: Summary,
  now: RunNow,
  last: { loss: number | null; images: number | null },
): void {
  const { name, outcome, evaluations } = summary;
  setText(byId('name'), name);
  document.title = `${name}: ${now.state} · showtell`;
  const [text, kind] =
    now.state === 'finished' && outcome !== null && outcome.outcome !== 'complete'
      ? ([outcome.outcome, 'bad'] as const)
      : states[now.state];
  const state = byId('state');
  setText(state, text);
  state.className = `outcome ${kind}`;
  setText(byId('reason'), outcome === null || outcome.outcome === 'complete' ? '' : outcome.reason);
  const best = evaluations.at(-1);
  const before = evaluations.at(-2);
  const isLive = now.state === 'training' || now.state === 'paused';
  const loss = now.loss ?? last.loss;
  const figures: [name: string, value: string, from: string][] = [
    ['step', count(now.step), `of ${count(summary.totalSteps)}, ${now.phase}`],
    ['loss', loss === null ? '–' : short(loss), 'cross entropy a word'],
    ...scores(best, before),
  ];
  if (isLive)
    figures.push([
      'images a second',
      now.imagesPerSecond === null ? '–' : short(now.imagesPerSecond),
      now.etaSeconds === null ? '' : `${duration(now.etaSeconds)} left`,
    ]);
  const list = byId('headline');
  if (list.children.length !== figures.length)
    list.replaceChildren(
      ...figures.map(() => make('div', { class: 'card' }, make('dt'), make('dd'), make('dd', { class: 'from' }))),
    );
  for (const [i, texts] of figures.entries())
    for (const [j, part] of [...(list.children[i]?.children ?? [])].entries())
      setText(part as HTMLElement, texts[j] ?? '');
}

function scores(best: EvaluationPoint | undefined, before: EvaluationPoint | undefined): [string, string, string][] {
  if (best === undefined) return [];
  const was = (value: string | null): string => (value === null ? `at step ${count(best.step)}` : `${value} before`);
  const list: [string, string, string][] = [
    ['perplexity', short(best.perplexity), was(before === undefined ? null : short(before.perplexity))],
  ];
  if (best.bleu !== null) list.push(['BLEU-4', best.bleu[3].toFixed(3), was(before?.bleu?.[3].toFixed(3) ?? null)]);
  if (best.colorAccuracy !== null)
    list.push([
      'right colours',
      percent(best.colorAccuracy),
      was(before?.colorAccuracy == null ? null : percent(before.colorAccuracy)),
    ]);
  return list;
}

/** What was decided and asked for, the latest first. */
export function showMoments({ moments, facts }: Summary): void {
  const rows = [...moments].reverse().map(({ at, step, kind, text }) => {
    const when = make('time', { datetime: at }, clock(at));
    return make('li', { class: kind }, make('span', { class: 'soft' }, when, `, step ${count(step)}`), ` ${text}`);
  });
  byId('moments').replaceChildren(...rows);
  const items = facts.map(({ name, value }) => {
    const text = name === 'begun' ? clock(value) : value;
    return make('div', {}, make('dt', {}, name), make('dd', name.endsWith('256') ? { class: 'mono' } : {}, text));
  });
  byId('facts').replaceChildren(...items);
}

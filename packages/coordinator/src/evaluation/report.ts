import { rename, writeFile } from 'node:fs/promises';
import { duration } from '../duration.js';
import { drawChart, escape, thousands, type Chart, type Curve } from './report-chart.js';
import { milestones, type ReportData, type ReportPicture } from './report-data.js';
import { reportStyle } from './report-style.js';
import { markColors } from './scores/colors.js';
import { tokenizeCaption } from './scores/tokenize.js';

/** Writes {@link renderReport}'s page, whole or not at all. */
export async function writeReport(file: string, data: ReportData): Promise<void> {
  await writeFile(`${file}.tmp`, renderReport(data));
  await rename(`${file}.tmp`, file);
}

/** A run as one HTML page that needs nothing else: no scripts, no fonts, pictures inside it. */
export function renderReport(data: ReportData): string {
  const sections = [
    header(data),
    headline(data),
    pictures(data),
    curves(data),
    phaseTable(data),
    facts(data),
    next(data),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(data.run)} · showtell</title>
<style>${reportStyle}</style>
</head>
<body>
<main>
${sections.filter((section) => section !== '').join('\n')}
<footer>Written by showtell on ${escape(data.finished.slice(0, 16).replace('T', ' '))} UTC.</footer>
</main>
</body>
</html>
`;
}

const outcomes = {
  complete: ['complete', 'good'],
  stopped: ['stopped', 'bad'],
  'guard-unmet': ['guard unmet', 'bad'],
  'rolled-back': ['rolled back', 'bad'],
} as const;

function header({ run, outcome, reason, phases, steps, evaluations }: ReportData): string {
  const [name, kind] = outcomes[outcome];
  const total = Math.max(1, steps);
  const stretches = phases.map(({ phase, from, to }) => {
    const last = evaluations.filter((one) => one.phase === phase && one.step > from && one.step <= to).at(-1);
    const bleu = last?.bleu4 === undefined || last.bleu4 === null ? '' : `BLEU-4 ${last.bleu4.toFixed(3)}`;
    // A phase too short for its words still gets room for them.
    return `<div class="${phase}" style="flex:${Math.max(0.16, (to - from) / total).toFixed(3)} 1 0"><div class="bar"></div>
<p class="name">${phase}</p><p class="soft">steps ${thousands(from)}–${thousands(to)}</p><p class="soft">${bleu}</p></div>`;
  });
  return `<header>
<p class="kicker">showtell run</p>
<h1>${escape(run)}<span class="outcome ${kind}">${name}</span></h1>
${reason === null ? '' : `<p class="soft">${escape(reason)}</p>`}
</header>
<div class="phases">${stretches.join('')}</div>`;
}

function headline(data: ReportData): string {
  const marks = milestones(data);
  const last = marks.at(-1)?.scores;
  const before = marks.at(-2);
  const figure = (name: string, value: string, from: string): string =>
    `<div class="card"><dt>${name}</dt><dd>${value}</dd><p class="from">${escape(from)}</p></div>`;
  const compare = (
    value: (scores: typeof last & object) => number | null,
    format: (value: number) => string,
  ): string => {
    const earlier = before === undefined ? null : value(before.scores);
    return earlier === null || before === undefined ? '' : `${format(earlier)} ${before.when}`;
  };
  const cards: string[] = [];
  if (last !== undefined) {
    if (last.bleu4 !== null)
      cards.push(
        figure(
          'BLEU-4',
          last.bleu4.toFixed(3),
          compare(
            (s) => s.bleu4,
            (v) => v.toFixed(3),
          ),
        ),
      );
    if (last.colorAccuracy !== null) {
      cards.push(
        figure(
          'right colours',
          percent(last.colorAccuracy),
          compare((s) => s.colorAccuracy, percent),
        ),
      );
    }
    cards.push(
      figure(
        'perplexity',
        short(last.perplexity),
        compare((s) => s.perplexity, short),
      ),
    );
  }
  cards.push(figure('training time', duration(data.seconds), `${thousands(data.steps)} steps`));
  return `<dl class="headline">${cards.join('')}</dl>`;
}

function pictures({ pictures: shown }: ReportData): string {
  if (shown.length === 0) return '';
  const judged = shown.some(({ captions, references }) =>
    captions.some(({ caption }) =>
      pieces(caption, references).some(({ color }) => color === 'right' || color === 'wrong'),
    ),
  );
  const legend = judged
    ? ` A <span class="color right">right</span> colour is one that people named in this picture; a <span class="color wrong">wrong</span> one, nobody did.`
    : '';
  return `<h2>What it says of pictures it was never shown</h2>
<p class="note">Held-out pictures, each captioned by beam search as training went on.${legend}</p>
<div class="pictures">${shown.map(picture).join('')}</div>`;
}

function picture({ imageId, jpeg, references, captions }: ReportPicture): string {
  const said = captions.map(({ when, caption, logprob }) => {
    const text = caption === '' ? '<span class="soft">(nothing)</span>' : marked(caption, references);
    const sure =
      logprob === null
        ? ''
        : `<span title="natural-log probability of the caption">${logprob.toFixed(2).replace('-', '−')}</span>`;
    return `<li><div class="when"><span>${escape(when)}</span>${sure}</div><div class="said">${text}</div></li>`;
  });
  const people = references.map((reference) => `<li>${escape(reference)}</li>`).join('');
  return `<article class="card picture">
<div class="frame"><img alt="picture ${imageId}: ${escape(references[0] ?? 'no reference')}" src="data:image/jpeg;base64,${Buffer.from(jpeg).toString('base64')}"></div>
<ol>${said.join('')}</ol>
<details><summary>what people said</summary><ul>${people}</ul></details>
</article>`;
}

function pieces(caption: string, references: readonly string[]): ReturnType<typeof markColors> {
  return markColors(caption, references.map(tokenizeCaption));
}

function marked(caption: string, references: readonly string[]): string {
  return pieces(caption, references)
    .map(({ text, color }) =>
      color === 'right' || color === 'wrong' ? `<span class="color ${color}">${escape(text)}</span>` : escape(text),
    )
    .join('');
}

function curves(data: ReportData): string {
  const bands = data.phases.map(({ phase, from, to }) => ({ from, to, className: phase }));
  const common = { xMax: data.steps, bands };
  const charts: Chart[] = [];
  const losses = data.losses.filter(({ loss }) => Number.isFinite(loss));
  if (losses.length > 1) {
    const stretches = summarize(losses, 110);
    charts.push({
      ...common,
      title: 'Training loss',
      note: 'Cross entropy a word, in nats. Line: mean of neighbouring steps; shade: their range.',
      scale: 'linear',
      yMin: 0,
      format: short,
      spread: stretches.map(({ x, low, high }) => ({ x, low, high })),
      curves: [{ name: 'loss', className: 'first', points: stretches.map(({ x, mean }) => ({ x, y: mean })) }],
    });
  }
  const { evaluations, baselinePerplexity } = data;
  if (evaluations.length > 0) {
    charts.push({
      ...common,
      title: 'Validation perplexity',
      note: 'Words the model hesitates between, on held-out captions. Lower is better.',
      scale: 'log',
      format: short,
      ...(baselinePerplexity === null ? {} : { level: { y: baselinePerplexity, name: 'word frequencies alone' } }),
      curves: [
        {
          name: 'perplexity',
          className: 'first',
          dots: true,
          points: evaluations.map(({ step, perplexity }) => ({ x: step, y: perplexity })),
        },
      ],
    });
  }
  const scores = (
    [
      ['colours', 'third', 'colorAccuracy'],
      ['BLEU-1', 'second', 'bleu1'],
      ['BLEU-4', 'fourth', 'bleu4'],
    ] as const
  ).flatMap(([name, className, key]): Curve[] => {
    const points = evaluations.flatMap((one) => (one[key] === null ? [] : [{ x: one.step, y: one[key] }]));
    return points.length === 0 ? [] : [{ name, className, dots: true, points }];
  });
  if (scores.length > 0) {
    charts.push({
      ...common,
      title: 'Captions of held-out pictures',
      note: 'BLEU against what people wrote, and the share of captions that name the right colours.',
      scale: 'linear',
      yMin: 0,
      yMax: 1,
      format: (value) => value.toFixed(2),
      curves: scores,
    });
  }
  if (charts.length === 0) return '';
  const figures = charts.map(
    (chart) =>
      `<figure class="card"><figcaption><h3>${escape(chart.title)}</h3><p>${escape(chart.note)}</p></figcaption>${drawChart(chart)}</figure>`,
  );
  return `<h2>How it learnt</h2>
<p class="note">Blue ground: only the decoder trains, on a frozen encoder. Pink ground: both train.</p>
<div class="charts">${figures.join('')}</div>`;
}

/** Steps gathered into at most `count` stretches of equal length, with mean and range. */
function summarize(
  losses: ReportData['losses'],
  count: number,
): { x: number; mean: number; low: number; high: number }[] {
  const size = Math.max(1, Math.ceil(losses.length / count));
  return Array.from({ length: Math.ceil(losses.length / size) }, (_, i) => {
    const part = losses.slice(i * size, (i + 1) * size);
    const values = part.map(({ loss }) => loss);
    return {
      x: part.reduce((sum, { step }) => sum + step, 0) / part.length,
      mean: values.reduce((sum, value) => sum + value, 0) / values.length,
      low: Math.min(...values),
      high: Math.max(...values),
    };
  });
}

function phaseTable(data: ReportData): string {
  const rows = milestones(data);
  if (rows.length === 0) return '';
  const cell = (value: number | null, format: (value: number) => string): string =>
    `<td>${value === null ? '–' : format(value)}</td>`;
  const three = (value: number): string => value.toFixed(3);
  const body = rows.map(
    ({ when, scores }) =>
      `<tr><th scope="row">${escape(when)}</th><td>${thousands(scores.step)}</td>${cell(scores.perplexity, short)}${cell(scores.bleu1, three)}` +
      `${cell(scores.bleu4, three)}${cell(scores.colorAccuracy, percent)}${cell(scores.novelty, percent)}</tr>`,
  );
  return `<h2>What each phase achieved</h2>
<p class="note">On held-out pictures. Novel captions are those that no training caption equals word for word.</p>
<div class="card scroll"><table><thead><tr><th></th><th>step</th><th>perplexity</th><th>BLEU-1</th><th>BLEU-4</th><th>right colours</th><th>novel</th></tr></thead>
<tbody>${body.join('')}</tbody></table></div>`;
}

function facts({ facts: listed }: ReportData): string {
  const items = listed.map(
    ({ name, value, mono }) =>
      `<div><dt>${escape(name)}</dt><dd${mono === true ? ' class="mono"' : ''}>${escape(value)}</dd></div>`,
  );
  return items.length === 0 ? '' : `<h2>The run</h2>\n<dl class="card facts">${items.join('')}</dl>`;
}

function next({ next: steps }: ReportData): string {
  const items = steps.map(
    ({ what, command }) => `<div><p>${escape(what)}</p><pre class="card">${escape(command)}</pre></div>`,
  );
  return items.length === 0 ? '' : `<h2>Go on</h2>\n<div class="next">${items.join('')}</div>`;
}

function percent(share: number): string {
  return `${Math.floor(share * 100 + 1e-9)} %`;
}

function short(value: number): string {
  if (value >= 100) return thousands(Math.round(value));
  return String(Number(value.toFixed(value >= 10 ? 1 : 2)));
}

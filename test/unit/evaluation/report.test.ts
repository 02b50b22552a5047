import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { drawChart, thousands, type Chart } from '@showtell/coordinator/evaluation/report-chart.js';
import { milestones, type ReportData } from '@showtell/coordinator/evaluation/report-data.js';
import { renderSummary } from '@showtell/coordinator/evaluation/report-summary.js';
import { renderReport, writeReport } from '@showtell/coordinator/evaluation/report.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demoReport } from './report-fixture.js';

let data: ReportData;
beforeAll(async () => {
  data = await demoReport();
});

/** The names of elements left open or closed out of turn; void elements aside. */
function unbalanced(html: string): string[] {
  const open: string[] = [];
  const faults: string[] = [];
  for (const [, close, name, selfClosing] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*?(\/?)>/giu)) {
    if (selfClosing === '/' || ['meta', 'img', 'br'].includes(name!)) continue;
    if (close !== '/') open.push(name!);
    else if (open.pop() !== name) faults.push(name!);
  }
  return [...faults, ...open];
}

describe('the page of a run', () => {
  it('needs nothing but itself: no scripts, nothing fetched, pictures inside', () => {
    const html = renderReport(data);
    expect(html).not.toMatch(/<script|<link|https?:|@import|url\(/u);
    expect(html.match(/src="data:image\/jpeg;base64,[A-Za-z0-9+/=]+"/gu)).toHaveLength(3);
    expect(html.match(/<svg/gu)).toHaveLength(3);
    expect(html).not.toMatch(/NaN|undefined|Infinity|\[object/u);
    expect(unbalanced(html)).toEqual([]);
  });

  it('shows right and wrong colours, the gain over the phase before, and how to go on', () => {
    const html = renderReport(data);
    expect(html).toContain('a large <span class="color wrong">green</span> circle in the center');
    expect(html).toContain('a large <span class="color right">red</span> circle on the left');
    expect(html).toContain('<dd>0.450</dd><p class="from">0.220 after decoder-only</p>');
    expect(html).toContain('npx showtell caption --checkpoint runs/demo photo.jpg');
  });

  it('shows captions, names and reasons as text, whatever they hold', () => {
    const evil = '<script>alert("x")</script> & \'more\'';
    const html = renderReport({
      ...data,
      run: evil,
      outcome: 'stopped',
      reason: evil,
      facts: [{ name: evil, value: evil }],
      next: [{ what: evil, command: evil }],
      pictures: data.pictures.map((picture) => ({
        ...picture,
        references: [evil],
        captions: [{ when: evil, caption: evil, logprob: null }],
      })),
    });
    expect(html).not.toContain('<script');
    expect(unbalanced(html)).toEqual([]);
  });

  it('can be drawn of a run that ended before it had anything to show', () => {
    const html = renderReport({
      ...data,
      steps: 0,
      outcome: 'stopped',
      reason: 'Stopped by Ctrl-C.',
      phases: [{ phase: 'decoder-only', from: 0, to: 0 }],
      losses: [],
      evaluations: [],
      pictures: [],
      facts: [],
      next: [],
    });
    expect(html).toContain('Stopped by Ctrl-C.');
    expect(html).not.toMatch(/NaN|undefined|Infinity/u);
    expect(unbalanced(html)).toEqual([]);
  });

  it('leaves out losses that are no numbers, and scores a job does not ask for', () => {
    const html = renderReport({
      ...data,
      losses: [...data.losses, { step: 1501, loss: Number.NaN }],
      evaluations: data.evaluations.map((one) => ({
        ...one,
        bleu1: null,
        bleu4: null,
        colorAccuracy: null,
        novelty: null,
      })),
    });
    expect(html).not.toContain('NaN');
    expect(html.match(/<svg/gu)).toHaveLength(2);
    expect(html).not.toContain('<dt>BLEU-4</dt>');
  });

  const folder = mkdtempSync(join(tmpdir(), 'showtell-report-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is written whole', async () => {
    await writeReport(join(folder, 'report.html'), data);
    expect(readdirSync(folder)).toEqual(['report.html']);
    expect(readFileSync(join(folder, 'report.html'), 'utf8')).toBe(renderReport(data));
  });
});

describe('milestones', () => {
  it('are the start and the last evaluation of each phase', () => {
    expect(milestones(data).map(({ when, scores }) => [when, scores.step])).toEqual([
      ['before training', 0],
      ['after decoder-only', 300],
      ['after joint', 1500],
    ]);
    expect(milestones({ ...data, evaluations: data.evaluations.slice(1, 2) }).map(({ when }) => when)).toEqual([
      'after decoder-only',
    ]);
  });
});

describe('a chart', () => {
  const chart: Chart = {
    title: 't',
    note: '',
    xMax: 100,
    bands: [],
    scale: 'linear',
    yMin: 0,
    yMax: 1,
    format: (value) => value.toFixed(2),
    curves: [],
  };
  const curve = (name: string, ...ys: number[]) => ({
    name,
    className: 'first',
    points: ys.map((y, i) => ({ x: (i * 100) / (ys.length - 1), y })),
  });

  it('places points by the axis, also a logarithmic one', () => {
    const linear = drawChart({ ...chart, curves: [curve('a', 0, 0.5, 1)] });
    expect(linear).toContain('d="M38 184L165 98L292 12"');
    const log = drawChart({ ...chart, scale: 'log', yMin: 1.15, yMax: 100 / 1.15, curves: [curve('a', 1, 10, 100)] });
    expect(log).toContain('d="M38 184L165 98L292 12"');
  });

  it('keeps the names at the ends of curves apart and inside', () => {
    const svg = drawChart({
      ...chart,
      curves: [curve('a', 0, 0.01), curve('b', 0, 0.02), curve('c', 0, 0.03), curve('d', 1, 1)],
    });
    const ys = [...svg.matchAll(/class="end first" x="298" y="([\d.]+)"/gu)]
      .map(([, y]) => Number(y))
      .sort((a, b) => a - b);
    expect(ys).toHaveLength(4);
    for (let i = 1; i < ys.length; i++) expect(ys[i]! - ys[i - 1]!).toBeGreaterThanOrEqual(24.9);
    expect(ys[0]).toBeGreaterThan(12);
    expect(ys[3]! + 11).toBeLessThan(214);
  });

  it('copes with one value, equal values and none', () => {
    for (const curves of [[], [curve('a')], [{ ...curve('a'), points: [{ x: 0, y: 3 }] }], [curve('a', 2, 2, 2)]]) {
      for (const scale of ['linear', 'log'] as const) {
        expect(
          drawChart({ ...chart, yMin: undefined, yMax: undefined, scale, curves } as unknown as Chart),
        ).not.toMatch(/NaN|Infinity/u);
      }
    }
  });

  it('writes steps short', () => {
    expect([0, 999, 1500, 12_345, 250_000, 1_500_000].map(thousands)).toEqual([
      '0',
      '999',
      '1,500',
      '12,345',
      '250k',
      '1.5M',
    ]);
  });
});

describe('the summary in the terminal', () => {
  it('shows scores, captions and commands within the width', () => {
    for (const width of [64, 80, 200]) {
      const text = renderSummary({ ...data, next: [] }, { color: true, width, page: 'runs/demo/report.html' });
      const lines = stripVTControlCharacters(text).split('\n');
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
      expect(lines[0]).toBe('demo: complete, 1,500 steps in 6:31');
      expect(lines.some((line) => /^after joint +2\.00 +0\.740 +0\.450 +93 % +4 %$/u.test(line))).toBe(true);
      expect(text).toContain('runs/demo/report.html');
    }
  });

  it('strikes wrong colours through, or marks them where there is no colour', () => {
    const coloured = renderSummary(data, { color: true, width: 100 });
    expect(coloured).toContain('a large \x1b[31m\x1b[9mgreen\x1b[29m\x1b[39m circle');
    const plain = renderSummary(data, { color: false, width: 100 });
    expect(plain).toContain('a large green✗ circle in the center');
    expect(plain).toContain('a large red circle on the left');
    expect(plain).toBe(stripVTControlCharacters(plain));
  });

  it('says why a run ended early', () => {
    const text = renderSummary(
      { ...data, outcome: 'guard-unmet', reason: 'Perplexity 12 is above 10.7.' },
      { color: false, width: 80 },
    );
    expect(text.split('\n').slice(0, 2)).toEqual([
      'demo: ended before the joint phase, guard unmet, 1,500 steps in 6:31',
      'Perplexity 12 is above 10.7.',
    ]);
  });
});

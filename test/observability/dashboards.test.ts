import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { unknownIn } from '../support/metric-names.js';
import { dashboards, expressionsOf, filled, panelsOf } from '../support/dashboards.js';
import { hasPrometheus, Prometheus } from '../support/prometheus.js';
import { rulesFile, rulesOf, textOf } from '../support/prometheus-rules.js';

const recorded = new Set(
  rulesOf(parse(textOf(rulesFile)) as Parameters<typeof rulesOf>[0]).flatMap(({ record }) => record ?? []),
);

describe.each(dashboards)('%s', (_, dashboard) => {
  it('has panels, each with a title, a unit, a sentence and a query', () => {
    expect(panelsOf(dashboard).length).toBeGreaterThan(8);
    for (const { title, description, fieldConfig, targets, datasource } of panelsOf(dashboard)) {
      expect(title).toMatch(/^[A-Z]/u);
      expect(description, title).toMatch(/^.{15,}\.$/su);
      expect(fieldConfig?.defaults.unit, title).toMatch(/^(none|short|s|bytes|Bps|ops|reqps|percentunit)$/u);
      expect(fieldConfig?.defaults.thresholds.steps.length, title).toBeGreaterThan(0);
      expect(targets?.length, title).toBeGreaterThan(0);
      expect(datasource?.uid, title).toBe('${datasource}');
    }
  });

  it('lets choose data source, namespace and run', () => {
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'namespace', 'run']);
    for (const { query } of dashboard.templating.list)
      if (typeof query !== 'string') expect(unknownIn(query.query, recorded)).toEqual([]);
  });

  it('lays panels out side by side, none over another', () => {
    const taken = new Set<string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`), title).toBe(false);
          taken.add(`${x},${y}`);
        }
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });

  it('names only series and labels that there are', () => {
    expect(expressionsOf(dashboard).flatMap(([, expression]) => unknownIn(expression, recorded))).toEqual([]);
  });

  it('leaves out no variable that would make it show other runs', () => {
    for (const [what, expression] of expressionsOf(dashboard))
      for (const [, matchers = ''] of expression.matchAll(/\{([^}]*)\}/gu))
        expect(matchers, what).toContain('app_kubernetes_io_instance=~"$run"');
  });
});

it('the dashboards have different names', () => {
  expect(new Set(dashboards.map(([, { uid }]) => uid)).size).toBe(dashboards.length);
});

describe.skipIf(!hasPrometheus)('Prometheus (skipped where there is none)', () => {
  let prometheus: Prometheus;
  beforeAll(async () => {
    prometheus = await Prometheus.start();
  });
  afterAll(async () => {
    await prometheus[Symbol.asyncDispose]();
  });

  it.each(dashboards)('understands every query of %s', async (_, dashboard) => {
    const expressions = expressionsOf(dashboard);
    const answers = await Promise.all(expressions.map(([, expression]) => prometheus.query(filled(expression, '1m'))));
    expect(answers).toHaveLength(expressions.length);
  });

  it('does not understand one that is wrong', async () => {
    await expect(prometheus.query('rate(showtell_step[1m]')).rejects.toThrow(/parse error/u);
  });
});

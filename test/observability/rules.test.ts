import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { unknownIn } from '../support/metric-names.js';
import { hasPromtool, rulesFile, rulesOf, textOf } from '../support/prometheus-rules.js';

const testsFile = 'deploy/prometheus/rules.test.yaml';
const rules = rulesOf(parse(textOf(rulesFile)) as Parameters<typeof rulesOf>[0]);
const alerts = rules.filter(({ alert }) => alert !== undefined);
const recorded = new Set(rules.flatMap(({ record }) => record ?? []));

describe('the rules', () => {
  it.each(rules.map((rule) => [rule.alert ?? rule.record ?? '', rule.expr]))(
    '%s names only what is there',
    (_, expr) => {
      expect(unknownIn(expr, recorded)).toEqual([]);
    },
  );

  it('the check sees what is not there', () => {
    expect(unknownIn('rate(showtell_steps_total[5m])', recorded)).toEqual(['showtell_steps_total is no series']);
    expect(unknownIn('showtell_workers{kind="x"}', recorded)).toEqual(['showtell_workers has no label kind']);
    expect(unknownIn('showtell_checkpoints_total{result=~"saved|lost"}', recorded)).toEqual([
      'showtell_checkpoints_total has no result lost',
    ]);
    expect(unknownIn('showtell_step_duration_seconds', recorded)).toHaveLength(1);
    expect(unknownIn('run:showtell_nothing:rate5m', recorded)).toHaveLength(1);
    expect(unknownIn('process_open_fds + nodejs_heap', recorded)).toEqual(['nodejs_heap is no series']);
  });

  it.each(alerts.map((rule) => [rule.alert ?? '', rule] as const))(
    '%s tells what, how bad and where to read',
    (name, rule) => {
      expect(rule.labels?.['severity']).toMatch(/^(critical|warning)$/u);
      expect(rule.annotations?.['summary']).toMatch(/\{\{ \$labels\.app_kubernetes_io_instance \}\}/u);
      expect(rule.annotations?.['description']).toMatch(/\.$/u);
      expect(rule.annotations?.['runbook']).toBe(`docs/runbooks.md#${name.toLowerCase()}`);
    },
  );

  it('has a runbook for each alert, and none for another', () => {
    const sections = textOf('docs/runbooks.md').split(/^### /mu).slice(1);
    expect(sections.map((section) => section.split('\n')[0]).sort()).toEqual(alerts.map(({ alert }) => alert).sort());
    for (const section of sections)
      for (const part of ['**What it means.**', '**Look.**', '**Do.**']) expect(section).toContain(part);
  });

  it('has a test for each alert, with runs that set it off and runs that do not', () => {
    const { tests } = parse(textOf(testsFile)) as {
      tests: {
        input_series: { series: string }[];
        alert_rule_test?: { alertname: string; exp_alerts: { exp_labels: Record<string, string> }[] }[];
      }[];
    };
    const tested = tests.flatMap(({ input_series, alert_rule_test = [] }) =>
      alert_rule_test.map(({ alertname, exp_alerts }) => {
        const runs = new Set(input_series.map(({ series }) => /app_kubernetes_io_instance="(\w+)"/u.exec(series)?.[1]));
        const firing = new Set(exp_alerts.map(({ exp_labels }) => exp_labels['app_kubernetes_io_instance']));
        expect(firing.has('bad'), alertname).toBe(true);
        expect(firing.has('good') || !runs.has('good'), alertname).toBe(false);
        return alertname;
      }),
    );
    expect(tested.sort()).toEqual(alerts.map(({ alert }) => alert).sort());
  });

  it('has a value to expect of each recorded series', () => {
    const { tests } = parse(textOf(testsFile)) as { tests: { promql_expr_test?: { expr: string }[] }[] };
    const expected = tests.flatMap(({ promql_expr_test = [] }) => promql_expr_test.map(({ expr }) => expr)).join(' ');
    expect([...recorded].filter((name) => !expected.includes(name))).toEqual([]);
  });
});

describe.skipIf(!hasPromtool)('promtool (skipped where there is none)', () => {
  const promtool = (...args: string[]) => spawnSync('promtool', args, { encoding: 'utf8' });

  it('finds no fault in the rules', () => {
    const { status, stdout, stderr } = promtool('check', 'rules', '--lint=all', '--lint-fatal', rulesFile);
    expect(status, stdout + stderr).toBe(0);
  });

  it('sees each alert fire where it should and only there', () => {
    const { status, stdout, stderr } = promtool('test', 'rules', testsFile);
    expect(status, stdout + stderr).toBe(0);
  });
});

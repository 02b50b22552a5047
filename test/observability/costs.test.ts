import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import type { BenchFigure } from '../bench/figure.js';

it('the bench tells what watching costs: a scrape of every role, and metrics and traces of a step, with when and where', () => {
  const args = ['--import', 'tsx', 'test/bench/main.ts', '--only', 'observability', '--json'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  const figures = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as BenchFigure & Record<'date' | 'processor', string>);
  const named = (pattern: RegExp) => figures.filter(({ name }) => pattern.test(name)).map(({ name }) => name);
  const roles = ['the coordinator', 'a worker', 'a shard', '"showtell serve"', 'the operator'];
  expect(named(/scrape/u)).toEqual(roles.map((role) => `a scrape of ${role}, over HTTP`));
  expect(named(/^metrics and traces/u)).toEqual(
    ['off', '1 in 100 kept', 'all kept'].map((kept) => `metrics and traces of one step, ${kept}`),
  );
  for (const { name, ours, date, processor } of figures) {
    expect(Number.isFinite(ours) && ours >= 0, name).toBe(true);
    expect(date).toMatch(/^\d{4}-\d\d-\d\d$/u);
    expect(processor).toMatch(/cores$/u);
  }
}, 120_000);

import { coordinatorSeries, openCoordinatorMetrics } from '@showtell/coordinator/metrics.js';
import { openSeries, type SeriesRow } from '@showtell/shared/service/series.js';
import { openWorkerMetrics, workerSeries } from '@showtell/worker/metrics.js';
import { openServeMetrics } from '@showtell/worker/serve/metrics.js';
import { describe, expect, it } from 'vitest';

const rows: [string, SeriesRow][] = [...Object.values(coordinatorSeries), ...Object.values(workerSeries)].map((row) => [
  row.name,
  row,
]);

describe('the tables of series', () => {
  it.each(rows)('%s follows the conventions for names', (name, row) => {
    expect(name).toMatch(/^showtell_[a-z0-9]+(_[a-z0-9]+)*$/u);
    expect(name.endsWith('_total')).toBe(row.type === 'counter');
    const bare = name.replace(/_total$/u, '');
    if (row.unit !== '') expect(bare.endsWith(`_${row.unit}`)).toBe(true);
    else expect(bare).not.toMatch(/_(seconds|bytes)$/u);
    expect(row.help).toMatch(/^[A-Z0-9].*\.$/u);
  });

  it('name each series once; what several roles tell is one row', () => {
    expect(new Set(rows.map(([name]) => name)).size).toBe(new Set(rows.map(([, row]) => row)).size);
  });

  it('open as live series, labels and all, in a registry of their own', async () => {
    const one = openCoordinatorMetrics();
    const other = openCoordinatorMetrics();
    one.series.phase.set({ phase: 'joint' }, 1);
    one.series.examples.inc(32);
    one.series.stepDuration.observe({ phase: 'joint' }, 0.3);
    const text = await one.registry.metrics();
    expect(text).toContain('showtell_phase{phase="joint"} 1');
    expect(text).toContain('showtell_examples_total 32');
    expect(text).toContain('showtell_step_duration_seconds_bucket{le="0.5",phase="joint"} 1');
    expect(text).toContain('process_resident_memory_bytes');
    expect(await other.registry.metrics()).toContain('showtell_examples_total 0');

    const worker = openWorkerMetrics();
    worker.series.wait.inc({ cause: 'parameters' }, 1.5);
    expect(await worker.registry.metrics()).toContain('showtell_worker_wait_seconds_total{cause="parameters"} 1.5');
  });

  it('have counters of listed labels at 0 from the start', async () => {
    const coordinator = await openCoordinatorMetrics().registry.metrics();
    expect(coordinator).toContain('showtell_checkpoints_total{result="failed"} 0');
    expect(coordinator).toContain('showtell_units_redelivered_total{reason="worker-lost"} 0');
    expect(await openWorkerMetrics().registry.metrics()).toContain(
      'showtell_worker_units_total{outcome="given-back"} 0',
    );
    expect(await openServeMetrics().registry.metrics()).toContain('showtell_serve_requests_total{status="500"} 0');
  });

  it('refuse a label that is not in the row', () => {
    const { series } = openSeries({
      a: { type: 'gauge', name: 'a', unit: '', labels: { known: 'x' }, help: 'A.' },
    } as const satisfies Record<string, SeriesRow>);
    expect(() => series.a.set({ unknown: 'x' } as never, 1)).toThrow(/label/u);
  });
});

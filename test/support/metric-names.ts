import { coordinatorSeries, openCoordinatorMetrics } from '@showtell/coordinator/metrics.js';
import { openShardMetrics, shardSeries } from '@showtell/coordinator/parameter-server/shard-metrics.js';
import type { SeriesRow } from '@showtell/shared/service/series.js';
import { openWorkerMetrics, workerSeries } from '@showtell/worker/metrics.js';
import { openServeMetrics, serveSeries } from '@showtell/worker/serve/metrics.js';

const tables: readonly Readonly<Record<string, SeriesRow>>[] = [
  coordinatorSeries,
  shardSeries,
  workerSeries,
  serveSeries,
];
const rows = new Map(tables.flatMap((table) => Object.values(table)).map((row) => [row.name, row]));

/** What prom-client gives beside the tables. */
const ofProcess = new Set(
  [openCoordinatorMetrics(), openShardMetrics(), openWorkerMetrics(), openServeMetrics()].flatMap(({ registry }) =>
    registry.getMetricsAsArray().map(({ name }) => name),
  ),
);

/** What Prometheus itself or a target's discovery gives to every series. */
const ofTargets = new Set([
  ...['namespace', 'app_kubernetes_io_instance', 'app_kubernetes_io_component', 'instance', 'job', 'pod', 'le'],
]);

/** Every series and recorded series that an expression names, with the labels it selects by. */
function selectors(expression: string): { name: string; matchers: string }[] {
  return [
    ...expression.matchAll(/\b((?:showtell|process|nodejs)_\w+|\w+:(?:showtell)_\w+(?::\w+)?)(?:\{([^}]*)\})?/gu),
  ].map(([, name = '', matchers = '']) => ({ name, matchers }));
}

/** What in an expression is not there: series unlike the registries of the code, labels and values unlike their rows. */
export function unknownIn(expression: string, recorded: ReadonlySet<string>): string[] {
  return selectors(expression).flatMap(({ name, matchers }) => {
    if (name.includes(':')) return recorded.has(name) ? [] : [`${name} is recorded by no rule`];
    // A label of an info series, in on (…) or group_left (…).
    const bare = name.replace(/_(bucket|sum|count)$/u, '');
    const row = rows.get(name) ?? rows.get(bare);
    if (row === undefined) return ofProcess.has(name) || ofProcess.has(bare) ? [] : [`${name} is no series`];
    if (row.type === 'histogram' && name === bare) return [`${name} is a histogram: _bucket, _sum or _count`];
    if (row.type !== 'histogram' && name !== row.name) return [`${name} is no histogram`];
    return [...matchers.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/gu)].flatMap(
      ([, label = '', operator, value = '']) => {
        if (ofTargets.has(label)) return [];
        const values = row.labels[label];
        if (values === undefined) return [`${name} has no label ${label}`];
        const isListed = /^[\w-]+(, [\w-]+)+$/u.test(values);
        const wanted = operator === '=' || operator === '!=' ? [value] : value.split('|');
        return wanted
          .filter((one) => isListed && !one.includes('$') && !values.split(', ').includes(one))
          .map((one) => `${name} has no ${label} ${one}`);
      },
    );
  });
}

import { readdirSync, readFileSync } from 'node:fs';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  readonly fieldConfig?: {
    readonly defaults: { readonly unit?: string; readonly thresholds: { readonly steps: unknown[] } };
  };
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: string | { readonly query: string } }[];
  };
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
  readonly panels: readonly Panel[];
}

const folder = 'deploy/grafana';
export const dashboards = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name): [string, Dashboard] => [name, JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')) as Dashboard]);

export const panelsOf = ({ panels }: Dashboard): Panel[] => panels.filter(({ type }) => type !== 'row');
/** Those of the row "GPU": they have data only where a worker computes on one. */
export const gpuPanelsOf = ({ panels }: Dashboard): Panel[] => {
  let row = '';
  return panels.filter(({ type, title }) => {
    if (type === 'row') row = title;
    return type !== 'row' && row === 'GPU';
  });
};
/** Panel and legend, or an event's name → expression. */
export const expressionsOf = (dashboard: Dashboard): [string, string][] => [
  ...panelsOf(dashboard).flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }): [string, string] => [`${title}, ${legendFormat}`, expr]),
  ),
  ...dashboard.annotations.list.map(({ name, expr }): [string, string] => [name, expr]),
];

/** An expression as Grafana sends it, for all runs. */
export const filled = (expression: string, interval: string): string =>
  expression.replaceAll('$__rate_interval', interval).replaceAll('$namespace', '.*').replaceAll('$run', '.*');

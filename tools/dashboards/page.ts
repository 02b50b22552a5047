/* eslint-disable @typescript-eslint/no-deprecated -- the classic schema, as in grafana.ts */
import type { Dashboard, Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';

const panelsOf = ({ panels = [] }: Dashboard): Panel[] => panels.filter((one): one is Panel => one.type !== 'row');

/** An expression for any run: without the matchers that choose namespace and run. */
const forAnyRun = (expression: string): string =>
  expression
    .replaceAll(/namespace=~"\$namespace", app_kubernetes_io_instance=~"\$run"(, )?/gu, '')
    .replaceAll('{}', '')
    .replaceAll('$__rate_interval', '1m');

const cell = (text: string): string => text.replaceAll('|', '\\|');

function queriesOf({ targets = [] }: Panel): string {
  return (targets as Dataquery[]).map(({ expr }) => `\`${cell(forAnyRun(expr))}\``).join('<br>');
}

const section = (dashboard: Dashboard): string => `## ${dashboard.title ?? ''}

${dashboard.description ?? ''}

| panel | what it tells | query |
| --- | --- | --- |
${panelsOf(dashboard)
  .map((panel) => `| ${panel.title ?? ''} | ${cell(panel.description ?? '')} | ${queriesOf(panel)} |`)
  .join('\n')}
`;

/** What every panel of the dashboards shows and by which query, as a page of Markdown. */
export const dashboardsPage = (dashboards: readonly Dashboard[]): string => `# Dashboards, panel by panel

<!-- Printed by "npm run gen" from tools/dashboards: change these, not this page. -->

Grafana comes neither by npm, pip and Go nor in Debian 12, so no test runs it and there is no picture of it here. These are
the panels of \`deploy/grafana\`, each with its query as Prometheus takes it, for every run that it knows: Grafana adds the namespace and the
run that are chosen, and an interval that suits the graph. [observability.md](observability.md) tells how to load them.

${dashboards.map(section).join('\n')}`;

// What showtell's dashboards are made of: Grafana's own builders (its foundation SDK), with the choices in which all panels
// of a kind agree. A panel says its title, what it tells, its unit and its queries; rows lay panels out from left to right.
/* eslint-disable @typescript-eslint/no-deprecated -- the classic schema is the one that every Grafana from 9 on reads, from
   files and through its sidecar; the one that the SDK prefers needs Grafana 12. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as grafana from '@grafana/grafana-foundation-sdk/dashboard';
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline';
import * as tablePanel from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

const datasource = { type: 'prometheus', uid: '${datasource}' };

/** The selector of the run that is looked at; more matchers may follow. */
export const of = (series: string, ...matchers: string[]): string =>
  `${series}{${['namespace=~"$namespace"', 'app_kubernetes_io_instance=~"$run"', ...matchers].join(', ')}}`;

/** Increase a second of a counter, in steps that suit the graph. */
export const rate = (series: string, ...matchers: string[]): string =>
  `rate(${of(series, ...matchers)}[$__rate_interval])`;

interface Grouping {
  /** Labels by which the series are kept apart, beside the run. */
  readonly by?: readonly string[];
  readonly matchers?: readonly string[];
}

/** A quantile of a histogram. */
export const quantile = (q: number, histogram: string, { by = [], matchers = [] }: Grouping = {}): string =>
  `histogram_quantile(${q}, sum by (${['app_kubernetes_io_instance', ...by, 'le'].join(', ')}) (${rate(`${histogram}_bucket`, ...matchers)}))`;

/** The mean of what a histogram has seen. */
export const mean = (histogram: string, { by = [], matchers = [] }: Grouping = {}): string => {
  const sum = (what: string): string =>
    `sum by (${['app_kubernetes_io_instance', ...by].join(', ')}) (${rate(`${histogram}_${what}`, ...matchers)})`;
  return `${sum('sum')} / ${sum('count')}`;
};

/** From which value on which colour: `{ 0.5: 'red' }`; below the first it is green, or `below`. */
type Levels = Readonly<Record<number, string> & { below?: string }>;

interface PanelSpec {
  readonly title: string;
  /** A sentence: what it tells, and what is good. */
  readonly description: string;
  /** Grafana's name of the unit. */
  readonly unit: string;
  /** Legend → expression. */
  readonly queries: Readonly<Record<string, string>>;
  readonly levels?: Levels;
  readonly min?: number;
  readonly max?: number;
  readonly decimals?: number;
  /** Of 24 columns. */
  readonly width?: number;
  /** In Grafana's rows of 30 pixels. */
  readonly height?: number;
}

/** What the SDK's builders of panels have in common. */
interface PanelBuilder extends Builder<grafana.Panel> {
  title(title: string): unknown;
  description(description: string): unknown;
  datasource(datasource: common.DataSourceRef): unknown;
  span(columns: number): unknown;
  height(rows: number): unknown;
  unit(unit: string): unknown;
  min(min: number): unknown;
  max(max: number): unknown;
  decimals(decimals: number): unknown;
  thresholds(thresholds: Builder<grafana.ThresholdsConfig>): unknown;
  withTarget(query: Builder<prometheus.Dataquery>): unknown;
}

const query = (legend: string, expression: string, i: number): prometheus.DataqueryBuilder =>
  new prometheus.DataqueryBuilder()
    .refId(String.fromCharCode(65 + i))
    .datasource(datasource)
    .expr(expression)
    .legendFormat(legend)
    .editorMode(prometheus.QueryEditorMode.Code)
    .range();

function thresholds({ below = 'green', ...levels }: Levels = {}): grafana.ThresholdsConfigBuilder {
  const steps = Object.entries(levels)
    .map(([value, color]) => ({ color, value: Number(value) }))
    .sort((a, b) => a.value - b.value);
  return new grafana.ThresholdsConfigBuilder()
    .mode(grafana.ThresholdsMode.Absolute)
    .steps([{ color: below, value: null }, ...steps]);
}

function described<B extends PanelBuilder>(
  panel: B,
  spec: PanelSpec,
  size: { readonly width: number; readonly height: number },
  change: (query: prometheus.DataqueryBuilder) => prometheus.DataqueryBuilder = (same) => same,
): B {
  panel.title(spec.title);
  panel.description(spec.description);
  panel.datasource(datasource);
  panel.span(spec.width ?? size.width);
  panel.height(spec.height ?? size.height);
  panel.unit(spec.unit);
  if (spec.min !== undefined) panel.min(spec.min);
  if (spec.max !== undefined) panel.max(spec.max);
  if (spec.decimals !== undefined) panel.decimals(spec.decimals);
  panel.thresholds(thresholds(spec.levels));
  for (const [i, [legend, expression]] of Object.entries(spec.queries).entries())
    panel.withTarget(change(query(legend, expression, i)));
  return panel;
}

interface LinesSpec extends PanelSpec {
  /** Puts the series on top of each other. */
  readonly stack?: boolean;
  readonly log?: boolean;
  /** Series → colour. */
  readonly color?: Readonly<Record<string, string>>;
}

/** Lines over time. `levels` are drawn as lines too. */
export function lines({ stack = false, log = false, color = {}, ...spec }: LinesSpec): timeseries.PanelBuilder {
  const scale = new common.ScaleDistributionConfigBuilder().type(
    log ? common.ScaleDistribution.Log : common.ScaleDistribution.Linear,
  );
  const panel = described(new timeseries.PanelBuilder(), spec, { width: 8, height: 8 })
    .drawStyle(common.GraphDrawStyle.Line)
    .lineInterpolation(common.LineInterpolation.Linear)
    .lineWidth(1)
    .showPoints(common.VisibilityMode.Never)
    .spanNulls(300_000)
    .fillOpacity(stack ? 40 : 5)
    .stacking(
      new common.StackingConfigBuilder().mode(stack ? common.StackingMode.Normal : common.StackingMode.None).group('A'),
    )
    .scaleDistribution(log ? scale.log(10) : scale)
    .thresholdsStyle(
      new common.GraphThresholdsStyleConfigBuilder().mode(
        spec.levels === undefined ? common.GraphThresholdsStyleMode.Off : common.GraphThresholdsStyleMode.Dashed,
      ),
    )
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.Table)
        .placement(common.LegendPlacement.Bottom)
        .calcs(['lastNotNull'])
        .showLegend(true),
    )
    .tooltip(
      new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending),
    );
  for (const [name, fixedColor] of Object.entries(color))
    panel.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor } }]);
  return panel;
}

/** The latest value, large. With `name`, the series' name instead. */
export const number = ({ name = false, ...spec }: PanelSpec & { readonly name?: boolean }): stat.PanelBuilder =>
  described(new stat.PanelBuilder(), spec, { width: 3, height: 4 })
    .colorMode(spec.levels === undefined ? common.BigValueColorMode.None : common.BigValueColorMode.Value)
    .graphMode(name ? common.BigValueGraphMode.None : common.BigValueGraphMode.Area)
    .justifyMode(common.BigValueJustifyMode.Auto)
    .orientation(common.VizOrientation.Auto)
    .textMode(name ? common.BigValueTextMode.Name : common.BigValueTextMode.Value)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false));

/** Each series a band that is filled where it is 1. */
export const timeline = (spec: PanelSpec): statetimeline.PanelBuilder =>
  described(new statetimeline.PanelBuilder(), spec, { width: 24, height: 4 })
    .fillOpacity(70)
    .lineWidth(0)
    .mergeValues(true)
    .showValue(common.VisibilityMode.Never)
    .rowHeight(0.8)
    .legend(new common.VizLegendOptionsBuilder().showLegend(false));

/** How many fell into each bucket of a histogram, over time. */
export const heat = (spec: PanelSpec): heatmap.PanelBuilder =>
  described(new heatmap.PanelBuilder(), spec, { width: 12, height: 8 }, (one) =>
    one.format(prometheus.PromQueryFormat.Heatmap),
  )
    .calculate(false)
    .cellGap(1)
    .color(new heatmap.HeatmapColorOptionsBuilder().mode(heatmap.HeatmapColorMode.Scheme).scheme('Oranges').steps(32))
    .yAxis(new heatmap.YAxisConfigBuilder().unit(spec.unit))
    .tooltip(new heatmap.HeatmapTooltipBuilder().mode(common.TooltipDisplayMode.Single).yHistogram(false))
    .showLegend();

/** The labels of series as a table, without those in `hide`. */
export const table = ({
  hide = [],
  ...spec
}: PanelSpec & { readonly hide?: readonly string[] }): tablePanel.PanelBuilder =>
  described(new tablePanel.PanelBuilder(), spec, { width: 24, height: 7 }, (one) =>
    one.format(prometheus.PromQueryFormat.Table).instant(),
  )
    .showHeader(true)
    .cellHeight(common.TableCellHeight.Sm)
    .withTransformation({
      id: 'organize',
      options: { excludeByName: Object.fromEntries(['Time', ...hide].map((name) => [name, true])) },
    });

/** Places the rows' panels from left to right; a panel that does not fit begins a new line. */
function layOut(board: grafana.DashboardBuilder, rows: Readonly<Record<string, readonly PanelBuilder[]>>): void {
  let [y, id] = [0, 1];
  for (const [title, panels] of Object.entries(rows)) {
    board.withRow(new grafana.RowBuilder(title).id(id++).gridPos({ x: 0, y, w: 24, h: 1 }));
    let [x, height] = [0, 0];
    y += 1;
    for (const one of panels) {
      const panel = one.build();
      const { w, h } = panel.gridPos ?? grafana.defaultGridPos();
      if (x + w > 24) [x, y, height] = [0, y + height, 0];
      Object.assign(panel, { id: id++, gridPos: { x, y, w, h } });
      board.withPanel({ build: () => panel });
      x += w;
      height = Math.max(height, h);
    }
    y += height;
  }
}

const choice = (name: string, label: string, query: string): grafana.QueryVariableBuilder =>
  new grafana.QueryVariableBuilder(name)
    .label(label)
    .datasource(datasource)
    .query({ query, refId: name })
    .refresh(grafana.VariableRefresh.OnTimeRangeChanged)
    .sort(grafana.VariableSort.AlphabeticalAsc)
    .includeAll(true)
    .allValue('.*')
    .multi(true)
    .current({ selected: true, text: 'All', value: '$__all' });

interface DashboardSpec {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** The series whose labels tell which runs there are. */
  readonly info: string;
  /** What is marked in every graph: name → expression. */
  readonly events?: Readonly<Record<string, string>>;
  /** Title → panels. */
  readonly rows: Readonly<Record<string, readonly PanelBuilder[]>>;
}

/** A dashboard as Grafana imports it. */
export function dashboard({ uid, title, description, info, events = {}, rows }: DashboardSpec): grafana.Dashboard {
  const board = new grafana.DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['showtell'])
    .editable()
    .tooltip(grafana.DashboardCursorSync.Crosshair)
    .version(1)
    .refresh('15s')
    .time({ from: 'now-3h', to: 'now' })
    .timezone('browser')
    .link(
      new grafana.DashboardLinkBuilder('showtell')
        .type(grafana.DashboardLinkType.Dashboards)
        .tags(['showtell'])
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(new grafana.DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(choice('namespace', 'Namespace', `label_values(${info}, namespace)`))
    .withVariable(choice('run', 'Run', `label_values(${info}{namespace=~"$namespace"}, app_kubernetes_io_instance)`))
    .annotations(
      Object.entries(events).map(([name, expression], i) =>
        new grafana.AnnotationQueryBuilder()
          .name(name)
          .datasource(datasource)
          .enable(true)
          .expr(expression)
          .step('15s')
          .titleFormat(name)
          .iconColor(['blue', 'red', 'purple'][i] ?? 'orange'),
      ),
    );
  layOut(board, rows);
  return board.build();
}

// What a dashboard of Grafana is made of, in as few words as a description of one needs: panels say their title, what they
// tell, unit and queries; rows lay them out from left to right.

const datasource = { type: 'prometheus', uid: '${datasource}' };

/** The selector of the run that is looked at; more matchers may follow. */
export const of = (series, ...matchers) =>
  `${series}{${['namespace=~"$namespace"', 'app_kubernetes_io_instance=~"$run"', ...matchers].join(', ')}}`;

/** Increase a second of a counter, in steps that suit the graph. */
export const rate = (series, ...matchers) => `rate(${of(series, ...matchers)}[$__rate_interval])`;

/** A quantile of a histogram, kept apart by some labels. */
export const quantile = (q, histogram, { by = [], matchers = [] } = {}) =>
  `histogram_quantile(${q}, sum by (${['app_kubernetes_io_instance', ...by, 'le'].join(', ')}) (${rate(`${histogram}_bucket`, ...matchers)}))`;

/** The mean of what a histogram has seen. */
export const mean = (histogram, { by = [], matchers = [] } = {}) => {
  const sum = (what) =>
    `sum by (${['app_kubernetes_io_instance', ...by].join(', ')}) (${rate(`${histogram}_${what}`, ...matchers)})`;
  return `${sum('sum')} / ${sum('count')}`;
};

/** @param queries legend → expression */
const targets = (queries, more) =>
  Object.entries(queries).map(([legendFormat, expr], i) => ({
    refId: String.fromCharCode(65 + i),
    ...{ datasource, expr, legendFormat, editorMode: 'code', range: true, ...more },
  }));

/** @param levels from which value on: `{ 0.5: 'red' }`; below the first it is green, or `below` */
const thresholds = ({ below = 'green', ...levels } = {}) => ({
  mode: 'absolute',
  steps: [
    { color: below, value: null },
    ...Object.entries(levels)
      .map(([value, color]) => ({ color, value: Number(value) }))
      .sort((a, b) => a.value - b.value),
  ],
});

const panel = ({ type, title, description, unit, queries, levels, min, max, decimals, width, height, ...rest }) => ({
  type,
  title,
  description,
  datasource,
  gridPos: { w: width, h: height, x: 0, y: 0 },
  targets: targets(queries, rest.target),
  fieldConfig: {
    defaults: { unit, min, max, decimals, thresholds: thresholds(levels), custom: rest.custom, mappings: [] },
    overrides: rest.overrides ?? [],
  },
  options: rest.options,
});

const colors = (byName) =>
  Object.entries(byName).map(([name, fixedColor]) => ({
    matcher: { id: 'byName', options: name },
    properties: [{ id: 'color', value: { mode: 'fixed', fixedColor } }],
  }));

/** Lines over time. `levels` are drawn as lines too; `stack` puts the series on top of each other. */
export const lines = ({ stack = false, log = false, color = {}, ...spec }) =>
  panel({
    type: 'timeseries',
    ...{ width: 8, height: 8 },
    ...spec,
    overrides: colors(color),
    custom: {
      ...{ drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, showPoints: 'never', spanNulls: 300_000 },
      fillOpacity: stack ? 40 : 5,
      stacking: { mode: stack ? 'normal' : 'none', group: 'A' },
      scaleDistribution: log ? { type: 'log', log: 10 } : { type: 'linear' },
      thresholdsStyle: { mode: spec.levels === undefined ? 'off' : 'dashed' },
    },
    options: {
      legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull'], showLegend: true },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  });

/** The latest value, large. With `name`, the series' name instead. */
export const number = ({ name = false, ...spec }) =>
  panel({
    type: 'stat',
    ...{ width: 3, height: 4 },
    ...spec,
    options: {
      ...{ colorMode: spec.levels === undefined ? 'none' : 'value', graphMode: name ? 'none' : 'area' },
      ...{ justifyMode: 'auto', orientation: 'auto', textMode: name ? 'name' : 'value' },
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
    },
  });

/** Each series a band that is filled where it is 1. */
export const timeline = (spec) =>
  panel({
    type: 'state-timeline',
    ...{ width: 24, height: 4 },
    ...spec,
    custom: { fillOpacity: 70, lineWidth: 0 },
    options: { mergeValues: true, showValue: 'never', rowHeight: 0.8, legend: { showLegend: false } },
  });

/** How many fell into each bucket of a histogram, over time. */
export const heat = (spec) =>
  panel({
    type: 'heatmap',
    ...{ width: 12, height: 8 },
    ...spec,
    target: { format: 'heatmap' },
    options: {
      ...{ calculate: false, cellGap: 1, color: { mode: 'scheme', scheme: 'Oranges', steps: 32 } },
      ...{ yAxis: { unit: spec.unit }, tooltip: { show: true, yHistogram: false }, legend: { show: true } },
    },
  });

/** The labels of series as a table. */
export const table = ({ hide = [], ...spec }) => ({
  ...panel({
    type: 'table',
    ...{ width: 24, height: 7 },
    ...spec,
    target: { format: 'table', instant: true, range: false },
    options: { showHeader: true, cellHeight: 'sm' },
  }),
  transformations: [
    { id: 'organize', options: { excludeByName: Object.fromEntries(['Time', ...hide].map((name) => [name, true])) } },
  ],
});

/** @param rows title → panels, placed from left to right */
function layOut(rows) {
  const placed = [];
  let y = 0;
  for (const [title, panels] of Object.entries(rows)) {
    placed.push({ type: 'row', title, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } });
    let [x, height] = [0, 0];
    y += 1;
    for (const one of panels) {
      const { w, h } = one.gridPos;
      if (x + w > 24) [x, y, height] = [0, y + height, 0];
      placed.push({ ...one, gridPos: { x, y, w, h } });
      x += w;
      height = Math.max(height, h);
    }
    y += height;
  }
  return placed.map((one, i) => ({ id: i + 1, ...one }));
}

const choice = (name, label, series, matcher) => ({
  ...{ name, label, type: 'query', datasource, refresh: 2, sort: 1 },
  query: { query: `label_values(${series}${matcher})`, refId: name },
  ...{ includeAll: true, allValue: '.*', multi: true, current: { text: 'All', value: '$__all' } },
});

/**
 * @param info the series whose labels tell which runs there are
 * @param events what is marked in every graph: name → expression
 */
export function dashboard({ uid, title, description, info, events = {}, rows }) {
  return {
    ...{ uid, title, description, tags: ['showtell'], editable: true, graphTooltip: 1, schemaVersion: 39, version: 1 },
    ...{ refresh: '15s', time: { from: 'now-3h', to: 'now' }, timezone: 'browser' },
    links: [
      {
        type: 'dashboards',
        title: 'showtell',
        tags: ['showtell'],
        asDropdown: false,
        includeVars: true,
        keepTime: true,
      },
    ],
    templating: {
      list: [
        { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus', refresh: 1 },
        choice('namespace', 'Namespace', info, ', namespace'),
        choice('run', 'Run', info, '{namespace=~"$namespace"}, app_kubernetes_io_instance'),
      ],
    },
    annotations: {
      list: Object.entries(events).map(([name, expr], i) => ({
        ...{ name, datasource, enable: true, expr, step: '15s', titleFormat: name },
        iconColor: ['blue', 'red', 'purple'][i],
      })),
    },
    panels: layOut(rows),
  };
}

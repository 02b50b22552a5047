import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** One Prometheus series, as the tables in both `metrics.ts` list them; `docs/metrics.md` is printed from these rows. */
export interface SeriesRow {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** As Prometheus' conventions have it: `showtell_` first, the unit last, `_total` after a counter's. */
  readonly name: string;
  /** `''` for a plain number. */
  readonly unit: 'seconds' | 'bytes' | '';
  /** Label → the values it takes. */
  readonly labels: Readonly<Record<string, string>>;
  readonly help: string;
  /** Upper bounds of a histogram's buckets, in the unit. Default: `durationBuckets`, from a millisecond to a minute and a half. */
  readonly buckets?: readonly number[];
}

type Labels<R extends SeriesRow> = Extract<keyof R['labels'], string>;

type SeriesOf<R extends SeriesRow> = R['type'] extends 'counter'
  ? Counter<Labels<R>>
  : R['type'] extends 'gauge'
    ? Gauge<Labels<R>>
    : Histogram<Labels<R>>;

/** The live series of a table, under the table's keys. */
export type SeriesSet<T extends Readonly<Record<string, SeriesRow>>> = { readonly [K in keyof T]: SeriesOf<T[K]> };

/** Opens every row of a table in a registry of its own, so that two roles in one process keep theirs apart. */
export function openSeries<T extends Readonly<Record<string, SeriesRow>>>(
  table: T,
): { readonly registry: Registry; readonly series: SeriesSet<T> } {
  const registry = new Registry();
  const series = Object.fromEntries(Object.entries(table).map(([key, row]) => [key, open(row, registry)]));
  return { registry, series: series as SeriesSet<T> };
}

function open({ type, name, help, labels, buckets }: SeriesRow, registry: Registry): Counter | Gauge | Histogram {
  const common = { name, help, labelNames: Object.keys(labels), registers: [registry] };
  switch (type) {
    case 'counter': {
      const counter = new Counter(common);
      for (const labelling of listed(labels)) counter.inc(labelling, 0);
      return counter;
    }
    case 'gauge':
      return new Gauge(common);
    case 'histogram':
      return new Histogram({ ...common, buckets: [...(buckets ?? durationBuckets)] });
  }
}

/**
 * Every labelling of labels that list their values, as `saved, failed` does: such counters are there from the start at
 * 0, because Prometheus sees no increase in a series that begins with 1.
 */
function listed(labels: SeriesRow['labels']): Record<string, string>[] {
  const entries = Object.entries(labels);
  if (entries.length === 0 || entries.some(([, values]) => !/^[a-z-]+(, [a-z-]+)+$/u.test(values))) return [];
  return entries.reduce<Record<string, string>[]>(
    (found, [label, values]) =>
      found.flatMap((before) => values.split(', ').map((value) => ({ ...before, [label]: value }))),
    [{}],
  );
}

/** From a millisecond to a minute and a half, three a decade. */
const durationBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100] as const;

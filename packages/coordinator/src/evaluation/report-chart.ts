/** A curve; the class chooses its colour in the page's style sheet. */
export interface Curve {
  readonly name: string;
  readonly className: string;
  readonly points: readonly Point[];
  /** A dot with a tooltip at each point. */
  readonly dots?: boolean;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Chart {
  readonly title: string;
  /** Under the title, in small print. */
  readonly note: string;
  /** The x axis goes from 0 to this. */
  readonly xMax: number;
  /** Stretches of the x axis to tint, by class. */
  readonly bands: readonly { readonly from: number; readonly to: number; readonly className: string }[];
  readonly curves: readonly Curve[];
  /** Least and greatest value around the first curve, drawn behind it. */
  readonly spread?: readonly { readonly x: number; readonly low: number; readonly high: number }[];
  readonly scale: 'linear' | 'log';
  /** The y axis; by default as the values need. */
  readonly yMin?: number;
  readonly yMax?: number;
  readonly format: (value: number) => string;
  /** A level to compare with. */
  readonly level?: { readonly y: number; readonly name: string };
}

// In the units of the drawing, which at full width of a phone are pixels: text in it needs no scaling.
const width = 340;
const height = 214;
const plot = { left: 38, right: 292, top: 12, bottom: 184 };

/** A chart as an SVG element without scripts; names stand at the curves' ends in place of a legend. */
export function drawChart(chart: Chart): string {
  const values = [
    ...chart.curves.flatMap(({ points }) => points.map(({ y }) => y)),
    ...(chart.spread ?? []).flatMap(({ low, high }) => [low, high]),
    ...(chart.level === undefined ? [] : [chart.level.y]),
  ].filter((value) => Number.isFinite(value));
  const { ticks, low, high } = axis(values, chart);
  const toY = (value: number): number => {
    const [a, b, v] = chart.scale === 'log' ? [Math.log(low), Math.log(high), Math.log(value)] : [low, high, value];
    return round(plot.bottom - ((v - a) / (b - a || 1)) * (plot.bottom - plot.top));
  };
  const toX = (step: number): number => round(plot.left + (step / (chart.xMax || 1)) * (plot.right - plot.left));

  const bands = chart.bands.map(
    ({ from, to, className }) =>
      `<rect class="${className}" x="${toX(from)}" y="${plot.top}" width="${round(toX(to) - toX(from))}" height="${plot.bottom - plot.top}"/>`,
  );
  const grid = ticks.map(
    (tick) =>
      `<path class="grid" d="M${plot.left} ${toY(tick)}H${plot.right}"/>` +
      `<text class="tick" x="${plot.left - 6}" y="${toY(tick) + 3.5}" text-anchor="end">${escape(chart.format(tick))}</text>`,
  );
  const steps = stepTicks(chart.xMax).map(
    (step) =>
      `<text class="tick" x="${toX(step)}" y="${plot.bottom + 16}" text-anchor="middle">${thousands(step)}</text>`,
  );
  const level =
    chart.level === undefined
      ? ''
      : `<path class="level" d="M${plot.left} ${toY(chart.level.y)}H${plot.right}"/>` +
        `<text class="level-name" x="${plot.right - 3}" y="${toY(chart.level.y) - 4}" text-anchor="end">${escape(chart.level.name)}</text>`;
  const spread =
    chart.spread === undefined || chart.spread.length < 2
      ? ''
      : `<path class="spread ${chart.curves[0]?.className ?? ''}" d="M${chart.spread.map(({ x, high: y }) => `${toX(x)} ${toY(y)}`).join('L')}L${[
          ...chart.spread,
        ]
          .reverse()
          .map(({ x, low: y }) => `${toX(x)} ${toY(y)}`)
          .join('L')}Z"/>`;
  return (
    `<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(describe(chart))}">` +
    [
      ...bands,
      ...grid,
      ...steps,
      level,
      spread,
      ...chart.curves.map((curve) => drawCurve(curve, chart, toX, toY)),
    ].join('') +
    endLabels(chart, toX, toY) +
    `<text class="tick" x="${width}" y="${plot.bottom + 16}" text-anchor="end">steps</text></svg>`
  );
}

type Place = (value: number) => number;

function drawCurve({ points, className, dots, name }: Curve, { format }: Chart, toX: Place, toY: Place): string {
  const path = points.map(({ x, y }) => `${toX(x)} ${toY(y)}`).join('L');
  const line = points.length === 0 ? '' : `<path class="curve ${className}" d="M${path}"/>`;
  if (dots !== true) return line;
  const marks = points.map(
    ({ x, y }) =>
      `<circle class="dot ${className}" cx="${toX(x)}" cy="${toY(y)}" r="2.6"><title>${escape(`${name} ${format(y)} at step ${thousands(x)}`)}</title></circle>`,
  );
  return line + marks.join('');
}

/** Each curve's name and last value at its end, moved apart where they would overlap. */
function endLabels({ curves, format }: Chart, toX: Place, toY: Place): string {
  const rowHeight = 25;
  const labels = curves
    .flatMap(({ name, className, points }) => {
      const end = points.at(-1);
      return end === undefined ? [] : [{ name, className, value: format(end.y), x: toX(end.x), y: toY(end.y) }];
    })
    .sort((a, b) => a.y - b.y);
  const room = plot.bottom - plot.top - 6;
  let lowest = plot.top + 4;
  const placed = labels.map((label, index) => {
    const after = (labels.length - 1 - index) * rowHeight;
    const y = Math.max(lowest, Math.min(label.y + 1, plot.top + room - after - 8));
    lowest = y + rowHeight;
    return { ...label, y };
  });
  return placed
    .map(
      ({ name, className, value, y }) =>
        `<text class="end ${className}" x="${plot.right + 6}" y="${round(y)}"><tspan class="value">${escape(value)}</tspan>` +
        // One curve alone is named by the title.
        (placed.length === 1 ? '' : `<tspan class="name" x="${plot.right + 6}" dy="11">${escape(name)}</tspan>`) +
        '</text>',
    )
    .join('');
}

function axis(values: readonly number[], { scale, yMin, yMax }: Chart): { ticks: number[]; low: number; high: number } {
  const least = yMin ?? (values.length === 0 ? 0 : Math.min(...values));
  const greatest = yMax ?? (values.length === 0 ? 1 : Math.max(...values));
  if (scale === 'log') {
    const low = Math.max(1e-9, least / 1.15);
    const high = Math.max(greatest * 1.15, low * 2);
    const ticks = [-9, -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8]
      .flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`)))
      .filter((tick) => tick >= low && tick <= high);
    return {
      ticks: ticks.length > 7 ? ticks.filter((tick) => String(tick).replace(/[0.]/gu, '') === '1') : ticks,
      low,
      high,
    };
  }
  const step = niceStep((greatest - least || 1) / 4);
  const low = yMin ?? Math.floor(least / step) * step;
  const high = yMax ?? Math.ceil(greatest / step) * step;
  const ticks = Array.from({ length: Math.floor((high - low) / step + 1.0001) }, (_, i) => low + i * step);
  return { ticks, low, high: high > low ? high : low + step };
}

/** 1, 2, 2.5 or 5 times a power of ten, the next one up. */
function niceStep(rough: number): number {
  const power = Math.pow(10, Math.floor(Math.log10(rough)));
  const digit = [1, 2, 2.5, 5, 10].find((candidate) => candidate * power >= rough * 0.999) ?? 10;
  return digit * power;
}

function stepTicks(xMax: number): number[] {
  const step = Math.max(1, niceStep(xMax / 3));
  return Array.from({ length: Math.floor(xMax / step + 1.0001) }, (_, i) => Math.round(i * step));
}

/** 1500 → 1,500; 1000000 → 1M; 250000 → 250k. */
export function thousands(value: number): string {
  if (value >= 1e6 && value % 1e5 === 0) return `${value / 1e6}M`;
  if (value >= 1e5 && value % 1e3 === 0) return `${value / 1e3}k`;
  return String(value).replace(/\B(?=(\d{3})+$)/gu, ',');
}

function describe({ title, curves, format }: Chart): string {
  const ends = curves.map(({ name, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    return first === undefined || last === undefined
      ? `${name}: no values`
      : `${name} from ${format(first.y)} to ${format(last.y)}`;
  });
  return `${title}: ${ends.join('; ')}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Text as HTML and attributes take it. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/gu, (character) => `&#${character.charCodeAt(0)};`);
}

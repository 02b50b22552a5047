import type UPlot from 'uplot';
import { make } from './dom.js';
import type { Range } from './plot-range.js';

// The library's script stands before the page's own.
declare const uPlot: typeof UPlot;

/** A line of a plot. */
export interface Line {
  readonly name: string;
  /** A colour variable of the style sheet. */
  readonly color: string;
  /** Dots where the values are. */
  readonly dots?: boolean;
  readonly dash?: boolean;
}

export interface PlotSpec {
  readonly id: string;
  readonly title: string;
  readonly note: string;
  readonly format: (value: number) => string;
  readonly lines: readonly Line[];
  /**
   * `band`: the data are high, low and mean of one line; `bars`: heights that stand on one another, the lowest first;
   * `lines`: one list a line.
   */
  readonly kind: 'band' | 'bars' | 'lines';
  readonly scale?: 'log';
  readonly yMin?: number;
  readonly yMax?: number;
}

export type PlotData = UPlot.AlignedData;

export interface PlotEvents {
  /** A stretch was marked with mouse, finger or pen. */
  readonly marked: (range: Range) => void;
  readonly all: () => void;
  readonly key: (event: KeyboardEvent) => void;
}

const height = 190;
/** `Distr.Logarithmic`: the library's enum stands in its types alone. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
const logarithmic: UPlot.Scale = { distr: 3 };

/** One chart, with a title, a legend that tells the values under the pointer, and keys of its own. */
export class Plot {
  readonly element: HTMLElement;
  #plot: UPlot | null = null;
  #shown: { data: PlotData; range: Range } | null = null;
  /** Where the joint phase began; null: nowhere yet; undefined: that is nothing of this plot's. */
  #switchedAt: number | null | undefined;
  readonly #frame: HTMLElement;
  readonly #values: HTMLElement[] = [];

  constructor(
    readonly spec: PlotSpec,
    private readonly events: PlotEvents,
  ) {
    const legend = spec.lines.map(({ name, color }) => {
      const value = make('b', { class: 'value' });
      this.#values.push(value);
      const key = make('i', { class: `key ${color}`, 'aria-hidden': 'true' });
      return make('span', { class: 'entry' }, key, ` ${name} `, value);
    });
    this.#frame = make('div', {
      class: 'plot',
      tabindex: 0,
      role: 'group',
      'aria-label': spec.title,
      onkeydown: (event) => this.events.key(event as KeyboardEvent),
    });
    this.element = make(
      'figure',
      { class: 'card', id: `plot-${spec.id}` },
      make('figcaption', {}, make('h3', {}, spec.title), make('p', {}, spec.note)),
      make('div', { class: 'legend' }, ...legend),
      this.#frame,
    );
  }

  /** Draws the data over a range of steps, the phases as its ground. */
  show(data: PlotData, range: Range, switchedAt?: number | null): void {
    this.#shown = { data, range };
    this.#switchedAt = switchedAt;
    const width = this.#frame.clientWidth;
    if (width === 0) return;
    if (this.#plot === null) this.#plot = new uPlot(this.#options(width, range), data, this.#frame);
    else {
      if (this.#plot.width !== width) this.#plot.setSize({ width, height });
      this.#plot.batch(() => {
        this.#plot?.setData(data, false);
        this.#plot?.setScale('x', range);
      });
    }
    this.#describe(data);
  }

  /** Draws it anew, as after its colours have changed. */
  restyle(): void {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#shown !== null) this.show(this.#shown.data, this.#shown.range, this.#switchedAt);
  }

  /** What there is to see, in words. */
  #describe(data: PlotData): void {
    const { spec } = this;
    const ends = spec.lines.map(({ name }, i) => {
      const column = this.#column(data, i);
      const values = column.filter((value): value is number => typeof value === 'number');
      const [first, last] = [values[0], values.at(-1)];
      const text =
        first === undefined || last === undefined ? 'no values' : `from ${spec.format(first)} to ${spec.format(last)}`;
      return spec.kind === 'bars' ? '' : `${name} ${text}`;
    });
    const told = ends.filter((text) => text !== '').join('; ');
    this.#frame.setAttribute(
      'aria-label',
      `${spec.title}${told === '' ? '' : `: ${told}`}. Arrow keys move, plus and minus zoom, 0 shows all.`,
    );
  }

  /** The values of a line as they were measured, however they are drawn. */
  #column(data: PlotData, line: number): readonly (number | null | undefined)[] {
    if (this.spec.kind === 'band') return (data[3] as (number | null)[] | undefined) ?? [];
    // Bars are drawn from the highest top down, so that each covers what lies behind it.
    const tops = (i: number) => (data[this.spec.lines.length - i] as (number | null)[] | undefined) ?? [];
    if (this.spec.kind === 'lines') return (data[line + 1] as (number | null)[] | undefined) ?? [];
    const below = line === 0 ? [] : tops(line - 1);
    return tops(line).map((top, i) => (typeof top === 'number' ? top - (below[i] ?? 0) : top));
  }

  #tellValues(plot: UPlot): void {
    const at = plot.cursor.idx;
    for (const [i, element] of this.#values.entries()) {
      const column = this.#column(plot.data, i);
      const value = typeof at === 'number' ? column[at] : column.findLast((one) => typeof one === 'number');
      element.textContent = typeof value === 'number' ? this.spec.format(value) : '–';
    }
  }

  #options(width: number, range: Range): UPlot.Options {
    const { spec, events } = this;
    const color = (name: string): string =>
      getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    const [soft, grid, card] = [color('soft'), color('grid'), color('card')];
    const font = '11px system-ui, sans-serif';
    const axis = { stroke: soft, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    return {
      width,
      height,
      legend: { show: false },
      padding: [8, 10, 0, 0],
      cursor: {
        sync: { key: 'steps', setSeries: false },
        drag: { x: true, y: false, setScale: false },
        points: { show: spec.kind !== 'bars', size: 7 },
        y: false,
        bind: {
          dblclick: () => () => {
            events.all();
            return null;
          },
        },
      },
      scales: {
        x: { time: false, min: range.min, max: range.max },
        y: spec.scale === 'log' ? logarithmic : { range: (_, low, high) => span(low, high, spec) },
      },
      axes: [
        { ...axis, size: 30, space: 48, values: (_, ticks) => ticks.map((tick) => thousands(tick)) },
        {
          ...axis,
          size: 52,
          values: (_, ticks) => (ticks as (number | null)[]).map((tick) => (tick === null ? '' : spec.format(tick))),
        },
      ],
      series: [{}, ...this.#series(color, card)],
      ...(spec.kind === 'band'
        ? { bands: [{ series: [1, 2], fill: `${color(spec.lines[0]?.color ?? 'ink')}2e` }] }
        : {}),
      hooks: {
        drawClear: [(plot) => this.#drawPhases(plot, color('decoder-tint'), color('joint-tint'))],
        setCursor: [(plot) => this.#tellValues(plot)],
        setData: [(plot) => this.#tellValues(plot)],
        ready: [(plot) => this.#tellValues(plot), markByFinger],
        setSelect: [
          (plot) => {
            const { left, width: wide } = plot.select;
            plot.setSelect(nothing, false);
            if (wide < 4) return;
            events.marked({ min: plot.posToVal(left, 'x'), max: plot.posToVal(left + wide, 'x') });
          },
        ],
      },
    };
  }

  #drawPhases(plot: UPlot, decoderOnly: string, joint: string): void {
    if (this.#switchedAt === undefined) return;
    const { ctx, bbox } = plot;
    const { left, top, width, height: tall } = bbox;
    const at = this.#switchedAt === null ? left + width : plot.valToPos(this.#switchedAt, 'x', true);
    const border = Math.min(Math.max(at, left), left + width);
    ctx.save();
    ctx.fillStyle = decoderOnly;
    ctx.fillRect(left, top, border - left, tall);
    ctx.fillStyle = joint;
    ctx.fillRect(border, top, left + width - border, tall);
    ctx.restore();
  }

  #series(color: (name: string) => string, card: string): UPlot.Series[] {
    const { kind, lines } = this.spec;
    if (kind === 'band') {
      const none = { points: { show: false }, stroke: 'transparent', width: 0 };
      return [none, none, { stroke: color(lines[0]?.color ?? 'ink'), width: 1.6, points: { show: false } }];
    }
    if (kind === 'bars') {
      const paths = uPlot.paths.bars?.({ size: [0.86, 60] });
      return [...lines].reverse().map(({ color: name }) => ({
        fill: color(name),
        stroke: color(name),
        width: 0,
        points: { show: false },
        ...(paths === undefined ? {} : { paths }),
      }));
    }
    return lines.map(({ color: name, dots, dash }) => ({
      stroke: color(name),
      width: 1.8,
      spanGaps: true,
      ...(dash === true ? { dash: [5, 4] } : {}),
      points: { show: dots === true, size: 5, stroke: color(name), fill: card },
    }));
  }
}

const nothing = { left: 0, width: 0, top: 0, height: 0 };

/**
 * A finger or a pen marks a stretch as the mouse does, to which alone the library listens; up and down a finger scrolls the page
 * (`touch-action` in the style sheet), and the browser then cancels the pointer.
 */
function markByFinger(plot: UPlot): void {
  const { over } = plot;
  let from: number | null = null;
  const select = (event: PointerEvent, isWhole: boolean): void => {
    if (from === null) return;
    const { left, width, height: tall } = over.getBoundingClientRect();
    const to = Math.min(Math.max(event.clientX - left, 0), width);
    plot.setSelect({ left: Math.min(from, to), width: Math.abs(to - from), top: 0, height: tall }, isWhole);
  };
  over.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'mouse' || !event.isPrimary) return;
    from = event.clientX - over.getBoundingClientRect().left;
    over.setPointerCapture(event.pointerId);
  });
  over.addEventListener('pointermove', (event) => select(event, false));
  over.addEventListener('pointerup', (event) => {
    select(event, true);
    from = null;
  });
  over.addEventListener('pointercancel', () => {
    from = null;
    plot.setSelect(nothing, false);
  });
}

function span(low: number | null, high: number | null, { yMin, yMax }: PlotSpec): [number, number] {
  const [least, greatest] = [yMin ?? low ?? 0, yMax ?? high ?? 1];
  const room = (greatest - least || 1) * 0.06;
  return [yMin ?? least - room, yMax ?? greatest + room];
}

function thousands(value: number): string {
  return value >= 1e4 && value % 1e3 === 0 ? `${value / 1e3}k` : String(value).replace(/\B(?=(\d{3})+$)/gu, ',');
}

import { byId, byIdAs, setText } from './dom.js';
import { count } from './format.js';
import type { Plot, PlotData } from './plot.js';
import { isWhole, moved, type Range, within, zoomed } from './plot-range.js';

export interface BoardSource {
  /** All there is to show. */
  readonly all: () => Range;
  readonly data: (plot: Plot, range: Range) => PlotData;
  /** Where the joint phase began, if the plots are of one run. */
  readonly switchedAt?: () => number | null;
  /** The range has changed; null: all is shown. */
  readonly moved: (range: Range | null) => void;
}

/**
 * The plots of a page over one range of steps. Each is drawn in a frame of its own, and only those that are in sight,
 * so that zooming never holds the page up.
 */
export class PlotBoard {
  #range: Range | null = null;
  readonly #due = new Set<Plot>();
  readonly #inSight = new Set<Plot>();
  #isDrawing = false;

  constructor(
    private readonly plots: readonly Plot[],
    private readonly source: BoardSource,
  ) {
    const sight = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          const plot = plots.find(({ element }) => element === target);
          if (plot === undefined) continue;
          if (isIntersecting) this.#inSight.add(plot);
          else this.#inSight.delete(plot);
        }
        this.#draw();
      },
      { rootMargin: '200px' },
    );
    for (const { element } of plots) sight.observe(element);
    new ResizeObserver(() => this.draw()).observe(byId('plots'));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const plot of plots) plot.restyle();
    });
    for (const [id, act] of [
      ['zoom-in', () => this.zoom(0.5)],
      ['zoom-out', () => this.zoom(2)],
      ['earlier', () => this.move(-0.5)],
      ['later', () => this.move(0.5)],
      ['zoom-all', () => this.showAll()],
    ] as const)
      byId(id).addEventListener('click', act);
  }

  get range(): Range {
    return this.#range ?? this.source.all();
  }

  /** Has every plot drawn anew, as after its data have changed. */
  draw(): void {
    for (const plot of this.plots) this.#due.add(plot);
    this.#tell();
    this.#draw();
  }

  showAll(): void {
    this.#go(null);
  }

  show(range: Range): void {
    const all = this.source.all();
    const inside = within(range, all);
    this.#go(isWhole(inside, all) ? null : inside);
  }

  zoom(factor: number): void {
    this.show(zoomed(this.range, factor, this.source.all()));
  }

  move(share: number): void {
    this.show(moved(this.range, share, this.source.all()));
  }

  readonly key = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = (
      {
        '+': () => this.zoom(0.5),
        '=': () => this.zoom(0.5),
        '-': () => this.zoom(2),
        ArrowLeft: () => this.move(-0.25),
        ArrowRight: () => this.move(0.25),
        '0': () => this.showAll(),
        Home: () => this.showAll(),
      } as Readonly<Record<string, (() => void) | undefined>>
    )[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  };

  #go(range: Range | null): void {
    this.#range = range;
    this.source.moved(range);
    this.draw();
  }

  #tell(): void {
    const { min, max } = this.range;
    const what = `steps ${count(min)} to ${count(max)}`;
    setText(byId('range'), this.#range === null ? `all, ${what}` : what);
    const isAll = this.#range === null;
    byIdAs('zoom-out', HTMLButtonElement).disabled = isAll;
    byIdAs('zoom-all', HTMLButtonElement).disabled = isAll;
    byIdAs('earlier', HTMLButtonElement).disabled = isAll;
    byIdAs('later', HTMLButtonElement).disabled = isAll;
  }

  #draw(): void {
    if (this.#isDrawing) return;
    const next = [...this.#due].find((plot) => this.#inSight.has(plot));
    if (next === undefined) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#due.delete(next);
      const { range } = this;
      next.show(this.source.data(next, range), range, this.source.switchedAt?.());
      this.#draw();
    });
  }
}

import { api } from './api.js';
import { Checkpoints } from './checkpoints.js';
import { Controls } from './controls.js';
import { byId, setText } from './dom.js';
import { showHeadline, showMoments } from './headline.js';
import type { NewSteps, RunNow, RunOverview, Summary } from './payload.js';
import { PhaseLine } from './phase-line.js';
import { Pictures } from './pictures.js';
import { Plot } from './plot.js';
import { PlotBoard } from './plot-board.js';
import { isWhole, type Range } from './plot-range.js';
import { runPlots } from './run-plots.js';
import { append, columnsOf, type StepColumns } from './steps.js';
import { showWorkers } from './worker-table.js';

/** Steps added one by one before the whole is fetched thinned again. */
const mostAdded = 600;
/** A zoomed range is fetched with so much of its width around it, for whoever moves on. */
const margin = 0.5;
/** After the last move, before its detail is fetched. */
const settleMs = 120;

/** One run, as it goes on. */
export class RunView {
  #summary: Summary;
  #now: RunNow;
  #steps: StepColumns;
  #revision: number;
  #last: number;
  #added = 0;
  /** Finer columns of a range that was zoomed to. */
  #detail: { range: Range; steps: StepColumns } | null = null;
  #settling: ReturnType<typeof setTimeout> | undefined;
  readonly #board: PlotBoard;
  readonly #line: PhaseLine;
  readonly #pictures: Pictures;
  readonly #checkpoints: Checkpoints;
  readonly #controls: Controls;

  private constructor(
    private readonly run: string,
    { summary, now, history }: RunOverview,
    controls: boolean,
  ) {
    this.#summary = summary;
    this.#now = now;
    this.#steps = columnsOf(history);
    this.#revision = history.revision;
    this.#last = history.last;
    const plots = runPlots.map(
      (spec) =>
        new Plot(spec, {
          marked: (range) => this.#board.show(range),
          all: () => this.#board.showAll(),
          key: (event) => this.#board.key(event),
        }),
    );
    byId('plots').replaceChildren(...plots.map(({ element }) => element));
    this.#board = new PlotBoard(plots, {
      all: () => this.#all,
      data: (plot, range) => {
        const spec = runPlots.find(({ id }) => id === plot.spec.id);
        return spec?.data(this.#columns(range), this.#summary.evaluations, range) ?? [[]];
      },
      switchedAt: () => this.#summary.switchedAt,
      moved: (range) => this.#moved(range),
    });
    this.#pictures = new Pictures(run);
    this.#line = new PhaseLine((step) => this.#pictures.goTo(step));
    this.#checkpoints = new Checkpoints(run);
    this.#controls = new Controls(run, controls, (told) => this.#setNow(told));
    this.#showSummary();
    this.#showNow();
    this.#board.draw();
    this.#watch();
  }

  static async open(run: string, controls: boolean): Promise<RunView> {
    return new RunView(run, await api.overview(run), controls);
  }

  get #all(): Range {
    const min = this.#steps.steps[0] ?? this.#summary.firstStep;
    return { min: Math.min(min, this.#summary.firstStep), max: Math.max(min + 4, this.#last) };
  }

  #columns(range: Range): StepColumns {
    const detail = this.#detail;
    return detail !== null && range.min >= detail.range.min && range.max <= detail.range.max
      ? detail.steps
      : this.#steps;
  }

  #moved(range: Range | null): void {
    clearTimeout(this.#settling);
    if (range === null) {
      this.#detail = null;
      return;
    }
    this.#settling = setTimeout(() => void this.#fetchDetail(range), settleMs);
  }

  async #fetchDetail({ min, max }: Range): Promise<void> {
    const around = { min: min - (max - min) * margin, max: max + (max - min) * margin };
    try {
      const history = await api.history(this.run, Math.max(0, around.min), around.max);
      if (isWhole(this.#board.range, this.#all)) return;
      this.#detail = { range: around, steps: columnsOf(history) };
      this.#board.draw();
    } catch {
      // The plots stay as coarse as they are.
    }
  }

  #watch(): void {
    const events = api.events(this.run, this.#revision, this.#last);
    const told = (event: Event): unknown => JSON.parse((event as MessageEvent<string>).data);
    events.addEventListener('open', () => this.#connected(true));
    events.addEventListener('steps', (event) => this.#addSteps(told(event) as NewSteps));
    events.addEventListener('now', (event) => this.#setNow(told(event) as RunNow));
    events.addEventListener('summary', (event) => {
      this.#summary = told(event) as Summary;
      this.#showSummary();
      this.#board.draw();
    });
    events.addEventListener('reload', () => void this.#reload());
    const again = (ms: number): void => {
      events.close();
      this.#connected(false);
      setTimeout(() => void this.#comeBack(), ms);
    };
    events.addEventListener('bye', () => again(1_000));
    events.addEventListener('error', () => again(2_000));
  }

  /** The coordinator may have ended for good, or have been started again: what was missed is fetched as a whole. */
  async #comeBack(): Promise<void> {
    try {
      await this.#reload();
      this.#watch();
    } catch {
      setTimeout(() => void this.#comeBack(), 3_000);
    }
  }

  #connected(isThere: boolean): void {
    const isOver = this.#summary.outcome !== null;
    setText(
      byId('connection'),
      isThere ? '' : isOver ? 'The coordinator has ended.' : 'The coordinator does not answer; trying again …',
    );
  }

  async #reload(): Promise<void> {
    const { summary, now, history } = await api.overview(this.run);
    this.#summary = summary;
    this.#now = now;
    this.#steps = columnsOf(history);
    this.#revision = history.revision;
    this.#last = history.last;
    this.#added = 0;
    this.#showSummary();
    this.#showNow();
    this.#board.draw();
  }

  #addSteps({ revision, rows }: NewSteps): void {
    const fresh = rows.filter(([step]) => step > this.#last);
    if (revision !== this.#revision) return void this.#reload();
    append(this.#steps, fresh);
    this.#last = fresh.at(-1)?.[0] ?? this.#last;
    this.#added += fresh.length;
    if (this.#added > mostAdded) void this.#reload();
    else this.#board.draw();
  }

  #setNow(now: RunNow): void {
    this.#now = now;
    this.#showNow();
  }

  #showNow(): void {
    const [loss = null, images = null] = [this.#steps.loss.mean.at(-1), this.#steps.images.mean.at(-1)];
    showHeadline(this.#summary, this.#now, { loss, images });
    this.#line.show(this.#summary, this.#now);
    showWorkers(this.#now);
    this.#controls.show(this.#now, this.#summary);
  }

  #showSummary(): void {
    this.#pictures.show(this.#summary.evaluations);
    this.#checkpoints.show(this.#summary.checkpoints);
    showMoments(this.#summary);
    showHeadline(this.#summary, this.#now, { loss: this.#steps.loss.mean.at(-1) ?? null, images: null });
    this.#line.show(this.#summary, this.#now);
  }
}

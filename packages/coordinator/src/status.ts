import type { PhaseName } from '@showtell/shared/job/phases.js';
import type { EvaluationScores } from './evaluation/evaluation.js';
import type { RunEvent } from './run.js';
import { stepParts, type StepParts } from './step-parts.js';
import type { WorkerShares } from './worker-shares.js';
import type { Worker } from './workers.js';

/** A run at a glance, as `showtell status --json` prints it. */
export interface RunStatus {
  readonly run: string;
  readonly state: 'training' | 'paused' | 'finished' | 'not running';
  readonly generation: number;
  readonly lineage: number;
  readonly step: number;
  readonly totalSteps: number;
  readonly phase: PhaseName;
  readonly switchedAt: number | null;
  readonly loss: number | null;
  readonly learningRate: number | null;
  readonly imagesPerSecond: number | null;
  readonly etaSeconds: number | null;
  /** Where a step's seconds go, on average over the last ones. */
  readonly anatomy: StepParts | null;
  readonly evaluation: { readonly step: number; readonly scores: EvaluationScores } | null;
  readonly checkpointStep: number | null;
  readonly workers: readonly {
    readonly id: string;
    readonly pid: number;
    readonly host: string;
    readonly engine: string;
    readonly units: number;
    readonly holding: number;
    readonly residentBytes: number | null;
    /** In words: `computes step 417, unit 2`. */
    readonly doing: string;
    /** Since it joined, as it last reported: its engine at work, and idle for want of records or of parameters. */
    readonly computeSeconds: number;
    readonly waitDataSeconds: number;
    readonly waitParametersSeconds: number;
    readonly presentSeconds: number;
    /** What its engine did between its last two reports, as shares of its time. */
    readonly shares: WorkerShares | null;
  }[];
}

/** How many steps the rates are averaged over. */
const recentSteps = 20;

/** Follows a run's events to what can be said of it at any time. */
export class StatusBoard {
  private readonly recent: { examples: number; seconds: number; parts: StepParts }[] = [];
  /** The next step is the first of its phase, or of this coordinator: workers make ready for it, which no other step takes. */
  private isFirst = true;
  private current: Omit<RunStatus, 'workers' | 'state' | 'imagesPerSecond' | 'etaSeconds' | 'anatomy'>;

  constructor(start: {
    run: string;
    generation: number;
    lineage: number;
    step: number;
    totalSteps: number;
    phase: PhaseName;
    switchedAt: number | null;
    checkpointStep: number | null;
  }) {
    this.current = { ...start, loss: null, learningRate: null, evaluation: null };
  }

  follow(event: RunEvent): void {
    switch (event.type) {
      case 'step': {
        const { step, totalSteps, phase, learningRate, result, seconds } = event;
        if (!this.isFirst) this.recent.push({ examples: result.examples, seconds, parts: stepParts(result, seconds) });
        this.isFirst = false;
        if (this.recent.length > recentSteps) this.recent.shift();
        this.current = { ...this.current, step, totalSteps, phase, learningRate, loss: result.loss };
        return;
      }
      case 'evaluation':
        this.current = {
          ...this.current,
          step: event.step,
          phase: event.phase,
          evaluation: { step: event.step, scores: event.scores },
        };
        return;
      case 'switch':
        this.forgetSpeed();
        this.current = { ...this.current, phase: 'joint', switchedAt: event.step };
        return;
      case 'rollback':
        this.forgetSpeed();
        this.current = {
          ...this.current,
          step: event.toStep,
          phase: 'decoder-only',
          switchedAt: null,
          lineage: this.current.lineage + 1,
        };
        return;
      case 'checkpoint':
        this.current = { ...this.current, checkpointStep: event.step };
        return;
      case 'switch-refused':
      case 'save-failed':
      case 'finished':
      case 'stopped':
        return;
      default:
        event satisfies never;
    }
  }

  /** Steps of the two phases take very different times. */
  private forgetSpeed(): void {
    this.recent.length = 0;
    this.isFirst = true;
  }

  /** @param paused whether a person has paused it */
  status(workers: readonly Worker[], paused: boolean): RunStatus {
    const examples = this.recent.reduce((sum, step) => sum + step.examples, 0);
    const seconds = this.recent.reduce((sum, step) => sum + step.seconds, 0);
    const known = this.recent.length > 0 && seconds > 0;
    const stepsLeft = this.current.totalSteps - this.current.step;
    return {
      ...this.current,
      state: paused ? 'paused' : 'training',
      imagesPerSecond: known ? examples / seconds : null,
      etaSeconds: known ? (stepsLeft * seconds) / this.recent.length : null,
      anatomy: known ? meanOf(this.recent.map(({ parts }) => parts)) : null,
      workers: workers.map((worker) => {
        const { id, pid, host, engine, leases, report, joinedAt } = worker;
        return {
          id,
          pid,
          host,
          engine,
          units: report?.unitsDone ?? 0,
          holding: leases.size,
          residentBytes: report?.residentBytes ?? null,
          shares: worker.shares,
          doing: doingOf(worker, this.current.step, paused),
          computeSeconds: report?.computeSeconds ?? 0,
          waitDataSeconds: report?.waitDataSeconds ?? 0,
          waitParametersSeconds: report?.waitParametersSeconds ?? 0,
          presentSeconds: (Date.now() - joinedAt) / 1000,
        };
      }),
    };
  }
}

/** A worker that has missed three reports is told of as silent. */
const silentMs = 7_000;

function doingOf({ leases, heardAt }: Worker, step: number, paused: boolean): string {
  const silent = performance.now() - heardAt;
  if (silent > silentMs) return `silent for ${Math.round(silent / 1000)} s`;
  const units = [...leases.values()].map(({ unit }) => unit);
  const evaluating = units.find((unit) => unit.evaluation);
  if (evaluating !== undefined) return `evaluates step ${evaluating.step}, unit ${evaluating.index}`;
  const due = units.find((unit) => unit.step <= step);
  if (due !== undefined) return `computes step ${due.step + 1}, unit ${due.index}`;
  if (paused) return 'paused';
  const [ahead] = units;
  return ahead === undefined
    ? 'waits for a unit'
    : `waits for step ${ahead.step}, holds unit ${ahead.index} of the next`;
}

function meanOf(steps: readonly StepParts[]): StepParts {
  const mean = (part: keyof StepParts): number => steps.reduce((sum, parts) => sum + parts[part], 0) / steps.length;
  return {
    ...{ data: mean('data'), compute: mean('compute'), exchange: mean('exchange') },
    ...{ update: mean('update'), wait: mean('wait') },
  };
}

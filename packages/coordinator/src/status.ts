import type { PhaseName } from '@showtell/shared/job/phases.js';
import type { EvaluationScores } from './evaluation/evaluation.js';
import type { RunEvent } from './run.js';
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
  }[];
}

/** How many steps the rates are averaged over. */
const recentSteps = 20;

/** Follows a run's events to what can be said of it at any time. */
export class StatusBoard {
  private readonly recent: { examples: number; seconds: number }[] = [];
  private current: Omit<RunStatus, 'workers' | 'state' | 'imagesPerSecond' | 'etaSeconds'>;

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
        this.recent.push({ examples: result.examples, seconds });
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
        // Steps of the two phases take very different times.
        this.recent.length = 0;
        this.current = { ...this.current, phase: 'joint', switchedAt: event.step };
        return;
      case 'rollback':
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
      case 'save-failed':
      case 'finished':
      case 'stopped':
        return;
      default:
        event satisfies never;
    }
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
      workers: workers.map(({ id, pid, host, engine, leases, report }) => ({
        id,
        pid,
        host,
        engine,
        units: report?.unitsDone ?? 0,
        holding: leases.size,
        residentBytes: report?.residentBytes ?? null,
      })),
    };
  }
}

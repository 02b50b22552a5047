import type { Job } from '@showtell/shared/job/job.js';
import type { RunEvent } from '../run.js';
import { StatusBoard, type RunStatus } from '../status.js';
import { createProgress } from './progress.js';
import type { ProgressRecord } from './progress-lines.js';

/** Shows a run's events, one way or another. */
export interface Presenter extends Disposable {
  show(event: RunEvent): void;
  /** A line that stays. */
  note(line: string): void;
}

/** A line of JSON on standard output for each event, as scripts read them. */
export function jsonPresenter(): Presenter {
  const print = (content: object): void => void process.stdout.write(`${JSON.stringify(content)}\n`);
  return {
    show: (event) => {
      switch (event.type) {
        case 'step': {
          const { type, step, totalSteps, phase, learningRate, seconds, result } = event;
          const { loss, examples, gradientNorm } = result;
          const { sum, update, publish } = result.seconds;
          // Units compute side by side: the slowest is what the step waits for.
          const compute = Math.max(...result.accepted.map((unit) => unit.computeSeconds));
          const parts = { compute, sum, update, publish };
          print({ type, step, totalSteps, phase, loss, examples, gradientNorm, learningRate, seconds, parts });
          return;
        }
        case 'evaluation':
          print({ type: event.type, step: event.step, phase: event.phase, ...event.scores });
          return;
        case 'save-failed':
          print({ type: event.type, step: event.step, error: event.error.message });
          return;
        case 'switch':
        case 'switch-refused':
        case 'rollback':
        case 'checkpoint':
        case 'finished':
        case 'stopped':
          print(event);
          return;
        default:
          event satisfies never;
      }
    },
    note: () => undefined,
    [Symbol.dispose]: () => undefined,
  };
}

/**
 * For people: a block of three lines drawn anew on a terminal, a line now and then elsewhere.
 *
 * @param workers how many local workers there are, shown with each line
 */
export function terminalPresenter(workers: number, job: Job): Presenter {
  const { decoderOnly, joint } = job.phases;
  const progress = createProgress(process.stdout);
  const board = new StatusBoard({
    run: '',
    generation: 0,
    lineage: 1,
    step: 0,
    totalSteps: decoderOnly.steps + joint.steps,
    phase: 'decoder-only',
    switchedAt: null,
    checkpointStep: null,
  });
  return {
    show: (event) => {
      board.follow(event);
      if (event.type === 'step' || event.type === 'evaluation')
        progress.update(recordOf(board.status([], false), workers, decoderOnly.steps));
      const line = noteOf(event);
      if (line !== null) progress.note(line);
    },
    note: (line) => progress.note(line),
    [Symbol.dispose]: () => progress.done(),
  };
}

function recordOf(status: RunStatus, workers: number, switchStep: number): ProgressRecord {
  const captions = status.evaluation?.scores.captions ?? null;
  return {
    step: status.step,
    totalSteps: status.totalSteps,
    switchStep: status.switchedAt ?? switchStep,
    phase: status.phase,
    loss: status.loss,
    imagesPerSecond: status.imagesPerSecond,
    workers,
    bleu4: captions?.bleu[3] ?? null,
    perplexity: status.evaluation?.scores.perplexity ?? null,
    colorAccuracy: captions?.colorAccuracy ?? null,
    evaluatedAt: status.evaluation?.step ?? null,
    eta: status.etaSeconds,
  };
}

function noteOf(event: RunEvent): string | null {
  switch (event.type) {
    case 'switch':
      return `step ${event.step}: the joint phase begins (${event.reason})`;
    case 'switch-refused':
      return `step ${event.step}: the joint phase does not begin: ${event.reason}`;
    case 'rollback':
      return `step ${event.step}: rolling back to step ${event.toStep}: ${event.reason}`;
    case 'save-failed':
      return `step ${event.step}: the checkpoint could not be saved, training goes on: ${event.error.message}`;
    case 'step':
    case 'evaluation':
    case 'checkpoint':
    case 'finished':
    case 'stopped':
      return null;
    default:
      event satisfies never;
      return null;
  }
}

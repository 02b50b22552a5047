import { evaluationsOf } from './evaluation/evaluations-of.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import { learningRate } from '@showtell/shared/job/learning-rate.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { CheckpointStore } from './checkpoints/checkpoint-store.js';
import type { Dispatcher } from './dispatcher.js';
import type { EvaluationResult, EvaluationScores } from './evaluation/evaluation.js';
import type { EvaluationRound } from './evaluation/evaluation-round.js';
import type { Journal } from './journal.js';
import { openSteps } from './open-steps.js';
import type { ParameterServer, StepResult } from './parameter-server/parameter-server.js';
import { isSwitchOrdered } from './phases/switch-orders.js';
import { decide, isDecisionStep, totalSteps, type PhaseState } from './phases/switch.js';
import type { SavedCheckpoint } from './starting-point.js';
import type { AccountedStep, StepAccount } from './step-account.js';
import { stepParts, type StepParts } from './step-parts.js';

/** Where a run stands between two steps. */
export interface RunState extends PhaseState {
  readonly lineage: number;
  /** Training examples that counted so far. */
  readonly examples: number;
  /** Asynchronous mode: units before the last applied one that are not, by their steps. */
  readonly missing: readonly number[];
  /** After a rollback: the version the run ends with. It is recomputed where its checkpoint was damaged. */
  readonly rolledBack: { readonly toStep: number; readonly reason: string } | null;
}

/** What happens in a run, in order: the CLI, the metrics, the report and tests read the same stream. */
export type RunEvent =
  | {
      readonly type: 'step';
      /** Updates applied, this one included. */
      readonly step: number;
      readonly totalSteps: number;
      /** Training examples that counted so far. */
      readonly examples: number;
      readonly phase: PhaseName;
      readonly learningRate: number;
      readonly result: StepResult;
      /** From the version before to this one. */
      readonly seconds: number;
    }
  | {
      readonly type: 'evaluation';
      readonly step: number;
      readonly phase: PhaseName;
      readonly scores: EvaluationScores;
      /** From its first unit to its scores; null when it was known from the journal. */
      readonly seconds: number | null;
      readonly images: EvaluationResult['images'] | null;
    }
  | { readonly type: 'switch'; readonly step: number; readonly reason: string }
  /** A person's order to begin the joint phase was not followed: the decoder has not learnt enough. */
  | { readonly type: 'switch-refused'; readonly step: number; readonly reason: string }
  | { readonly type: 'rollback'; readonly step: number; readonly toStep: number; readonly reason: string }
  | {
      readonly type: 'checkpoint';
      readonly step: number;
      readonly path: string;
      /** Of its files. */
      readonly bytes: number;
      /** Of writing it, beside the training that went on. */
      readonly seconds: number;
    }
  | { readonly type: 'save-failed'; readonly step: number; readonly error: Error }
  | {
      readonly type: 'finished';
      readonly step: number;
      readonly phase: PhaseName;
      readonly outcome: RunOutcome;
      readonly reason: string;
    }
  | { readonly type: 'stopped'; readonly step: number };

export type RunOutcome = 'complete' | 'guard-unmet' | 'rolled-back';

/** Why a run ends before its job does. */
export type Interruption = { readonly type: 'stop' } | { readonly type: 'fail'; readonly error: Error };

/** What a person, or a part of the cluster that cannot go on, asks of a run. */
export interface RunControl {
  /** The first reason to end, once there is one. */
  readonly interruption: Interruption | null;
  /** Calls back once, at once if there is a reason already. @returns how to take the listener off again */
  onInterruption(listener: (interruption: Interruption) => void): () => void;
  /** Resolves when the run is not paused, at once as a rule, and when it is interrupted. */
  untilResumed(): Promise<void>;
  /** Whether a person asked for the joint phase since this was asked last. */
  takeSwitchOrder(): boolean;
}

/** How long a step that is being computed may still take after a stop was asked for. */
const lastStepMs = 5_000;

/** What `work` gives, or null when the run was interrupted and `work` did not end within `graceMs` after that. */
async function unlessInterrupted<T>(work: Promise<T>, control: RunControl, graceMs: number): Promise<T | null> {
  // Whoever leaves it behind must not be told of its end as of an unhandled failure.
  work.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  let forget: () => void = () => undefined;
  const given = new Promise<null>((resolve) => {
    forget = control.onInterruption((interruption) => {
      timer = setTimeout(() => resolve(null), interruption.type === 'stop' ? graceMs : 0);
    });
  });
  try {
    return await Promise.race([work, given]);
  } finally {
    // A listener a step that stayed would hold the step's result for the run's whole life.
    forget();
    clearTimeout(timer);
  }
}

export interface RunParts {
  readonly job: Job;
  readonly generation: number;
  readonly journal: Journal;
  readonly server: ParameterServer;
  readonly dispatcher: Dispatcher;
  readonly round: EvaluationRound;
  readonly checkpoints: CheckpointStore;
  readonly account: StepAccount;
  readonly control: RunControl;
  /** Saves the current version beside the run; resolves when it is safe on disk. */
  readonly save: (state: RunState, pinned: boolean) => Promise<SavedCheckpoint>;
  /** Goes back to the newest sound checkpoint of at most `toStep`, in the lineage that is journalled, decoder-only. */
  readonly restore: (toStep: number) => Promise<RunState>;
  readonly unigramLossPerWord: number;
  /** @throws ShowtellError `run/superseded` */
  readonly assertCurrent: () => void;
}

/**
 * The run: takes steps until the job is complete, one event each. Between steps it evaluates where the job says so,
 * decides, saves. Whatever it decides it journals first, so that a replay decides the same.
 */
export async function* run(parts: RunParts, from: RunState): AsyncGenerator<RunEvent, void> {
  const { job, journal, server, dispatcher, checkpoints, control, account } = parts;
  let state = from;
  let saving: Promise<void> = Promise.resolve();
  let lastSave: { readonly step: number; readonly done: Promise<void> } | null = null;
  const saved: RunEvent[] = [];

  /** Saves the current version; the promise is the background's, whose failure is an event and stops nothing. */
  const save = (pinned = false): Promise<void> => {
    const { step } = state;
    const done = parts.save(state, pinned).then((written) => void saved.push({ type: 'checkpoint', step, ...written }));
    saving = done.catch((error: unknown) => void saved.push({ type: 'save-failed', step, error: error as Error }));
    lastSave = { step, done };
    return done;
  };
  const stop = async function* (): AsyncGenerator<RunEvent, void> {
    const interruption = control.interruption ?? { type: 'stop' };
    // A step that ended after it was given up has made another version; resuming computes it again. So the version is
    // taken hold of before anything is waited for.
    const isCurrent = server.version.id?.step === state.step;
    if (lastSave?.step !== state.step && isCurrent && !checkpoints.has(state.step)) void save().catch(() => undefined);
    await saving;
    if (interruption.type === 'stop' && lastSave?.step === state.step) await lastSave.done;
    yield* saved.splice(0);
    if (interruption.type === 'fail') throw interruption.error;
    yield { type: 'stopped', step: state.step };
  };

  const finish = (outcome: RunOutcome, reason: string): RunEvent => {
    const { step, phase } = state;
    journal.append({ type: 'finished', step, phase, outcome, reason });
    return { type: 'finished', step, phase, outcome, reason };
  };

  /** No version from before it was trained in this phase. */
  let decidedAt = state.switchedAt ?? 0;
  let opened = state.step + state.missing.length;
  await dispatcher.restart(state.step, state.lineage, state.missing);
  for (;;) {
    const { step } = state;
    let isScoredNow = false;
    if (state.rolledBack !== null && step >= state.rolledBack.toStep) {
      await save(true);
      yield* saved.splice(0);
      yield finish('rolled-back', state.rolledBack.reason);
      return;
    }
    if (state.rolledBack === null && isDecisionDue(parts, state)) {
      decidedAt = step;
      const result = await unlessInterrupted(evaluate(parts, state), control, 0);
      if (result === null) return yield* stop();
      isScoredNow = result.images !== null;
      // Not earlier: of an evaluation that the run's end overtook, neither entry nor captions are kept.
      if (result.images !== null) {
        const { lineage, phase } = state;
        journal.append({ type: 'evaluation', step, lineage, phase, scores: result.scores });
      }
      yield { type: 'evaluation', step, phase: state.phase, ...result };
      const decision = decide(job, state, history(parts, state), parts.unigramLossPerWord, {
        ordered: isSwitchOrdered(journal.entries, state),
      });
      switch (decision.type) {
        case 'stay':
          server.setPhase(state.phase);
          break;
        case 'refuse-switch': {
          const { reason } = decision;
          if (!journal.of('switch-refused').some((entry) => entry.step === step && entry.lineage === state.lineage))
            journal.append({ type: 'switch-refused', step, lineage: state.lineage, reason });
          server.setPhase(state.phase);
          yield { type: 'switch-refused', step, reason };
          break;
        }
        case 'switch':
          // The joint phase may come back to this very version, so it is on disk before anything is risked.
          await save(true);
          yield* saved.splice(0);
          if (!journal.of('switch').some((entry) => entry.step === step && entry.lineage === state.lineage))
            journal.append({ type: 'switch', step, lineage: state.lineage, reason: decision.reason });
          state = { ...state, phase: 'joint', switchedAt: step };
          server.setPhase('joint');
          yield { type: 'switch', step, reason: decision.reason };
          break;
        case 'roll-back': {
          const { toStep, reason } = decision;
          await saving;
          const lineage = state.lineage + 1;
          journal.append({ type: 'rollback', atStep: step, toStep, lineage, reason });
          yield { type: 'rollback', step, toStep, reason };
          state = await parts.restore(toStep);
          decidedAt = 0;
          opened = state.step + state.missing.length;
          await dispatcher.restart(state.step, lineage, state.missing);
          continue;
        }
        case 'guard-unmet':
        case 'finish': {
          const outcome = decision.type === 'finish' ? 'complete' : 'guard-unmet';
          await save();
          yield* saved.splice(0);
          yield finish(outcome, decision.reason);
          return;
        }
        default:
          decision satisfies never;
      }
    }
    // The one it began with was saved, without its scores if the run was stopped while it was evaluated.
    const isUnsaved = step > from.step || (isScoredNow && checkpoints.has(step));
    if (isUnsaved && step !== state.switchedAt && step % job.checkpoints.everySteps === 0) {
      // One at a time: a disk slower than the interval holds the next save up, never a step's arithmetic.
      await saving;
      void save(checkpoints.isPinned(step)).catch(() => undefined);
    }
    yield* saved.splice(0);
    await control.untilResumed();
    if (control.interruption !== null) return yield* stop();

    const began = performance.now();
    const end = state.rolledBack?.toStep ?? totalSteps(job, state);
    const rate = learningRate(job, state.phase, step - (state.switchedAt ?? 0));
    const next: RunState = { ...state, step: step + 1 };
    // Of the next version, not of this one: workers may be training on this one already, or on those that are open.
    const orderedAt = job.asynchronous === null ? next.step : Math.max(next.step, opened);
    if (control.takeSwitchOrder() && state.phase === 'decoder-only' && state.rolledBack === null)
      journal.append({ type: 'switch-order', step: orderedAt, lineage: state.lineage });
    // Until a decision has been taken, nobody may train on the version it is about.
    const nextPhase = isDecisionDue(parts, next) ? null : state.phase;
    const isDecidedAt = (at: number): boolean =>
      state.rolledBack === null && isDecisionDue(parts, { ...state, step: at });
    const open = openSteps(job, state, opened, end, decidedAt, isDecidedAt);
    opened = open.until;
    server.openUnits(opened);
    // The step's own units were offered while the one before was taken, so their results may come before these offers.
    const taken = Promise.all([
      server.step({ step, phase: state.phase, learningRate: rate, nextPhase }),
      dispatcher.advance(step, open, state.phase),
    ]);
    const done = await unlessInterrupted(taken, control, lastStepMs);
    if (done === null) return yield* stop();
    const [result] = done;
    const seconds = (performance.now() - began) / 1000;
    // Two coordinators may overlap for a moment; the account is the newer one's.
    parts.assertCurrent();
    const { loss, gradientNorm, accepted, missing } = result;
    account.add({
      step,
      generation: parts.generation,
      lineage: state.lineage,
      phase: state.phase,
      loss,
      gradientNorm,
      learningRate: rate,
      seconds,
      parts: roundedParts(stepParts(result, seconds)),
      at: Date.now(),
      units: accepted.map(countedUnit),
    });
    state = { ...next, missing, examples: state.examples + result.examples };
    yield {
      type: 'step',
      step: step + 1,
      totalSteps: end,
      examples: state.examples,
      phase: state.phase,
      learningRate: rate,
      result,
      seconds,
    };
  }
}

/** Whether the version of this step is decided about before anybody trains on it. */
export function isDecisionDue({ job, journal }: Pick<RunParts, 'job' | 'journal'>, state: RunState): boolean {
  return isDecisionStep(job, state) || isSwitchOrdered(journal.entries, state);
}

/** A unit as the account has it; one that is applied as it comes may be another step's. */
function countedUnit(unit: StepResult['accepted'][number]): AccountedStep['units'][number] {
  const { index, worker, attempt, examples, step, staleness } = unit;
  return { index, worker, attempt, examples, ...(staleness === null ? {} : { step, staleness }) };
}

/** Microseconds are enough to look at. */
function roundedParts(parts: StepParts): StepParts {
  const round = (seconds: number): number => Math.round(seconds * 1e6) / 1e6;
  const { data, compute, exchange, update, wait } = parts;
  return {
    data: round(data),
    compute: round(compute),
    exchange: round(exchange),
    update: round(update),
    wait: round(wait),
  };
}

/**
 * The evaluations of this lineage up to now, as decisions see them. One at the end of a phase that has grown since is
 * left out: a run that had the longer phase from its beginning does not have it. So is one that a refused order asked for.
 */
function history({ job, journal }: RunParts, state: RunState): Parameters<typeof decide>[2] {
  return evaluationsOf(journal, job)
    .filter(({ lineage, step }) => lineage === state.lineage && step <= state.step)
    .filter(({ step }) => step === state.step || step === state.switchedAt || isDecisionStep(job, { ...state, step }))
    .map(({ step, phase, scores }) => ({
      step,
      phase,
      lossPerWord: scores.lossPerWord,
      bleu4: scores.captions?.bleu[3] ?? null,
    }));
}

/** The current version's scores: computed by the workers, or as journalled when this very version was scored before. */
async function evaluate(
  { job, journal, round }: RunParts,
  { step, lineage }: RunState,
): Promise<Pick<Extract<RunEvent, { type: 'evaluation' }>, 'scores' | 'images' | 'seconds'>> {
  const known = evaluationsOf(journal, job).find((entry) => entry.step === step && entry.lineage === lineage);
  if (known !== undefined) return { scores: known.scores, images: null, seconds: null };
  const began = performance.now();
  const { scores, images } = await round.evaluate(step, lineage);
  return { scores, images, seconds: (performance.now() - began) / 1000 };
}

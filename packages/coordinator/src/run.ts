import type { PhaseName } from '@showtell/shared/job/phases.js';
import { learningRate } from '@showtell/shared/job/learning-rate.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { CheckpointStore } from './checkpoints/checkpoint-store.js';
import type { Dispatcher } from './dispatcher.js';
import type { EvaluationResult, EvaluationScores } from './evaluation/evaluation.js';
import type { EvaluationRound } from './evaluation/evaluation-round.js';
import type { Journal } from './journal.js';
import type { ParameterServer, StepOutcome } from './parameter-server/parameter-server.js';
import { decide, isDecisionStep, totalSteps, type PhaseState } from './phases/switch.js';
import type { StepAccount } from './step-account.js';

/** Where a run stands between two steps. */
export interface RunState extends PhaseState {
  readonly lineage: number;
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
      readonly phase: PhaseName;
      readonly learningRate: number;
      readonly outcome: StepOutcome;
      /** From the version before to this one. */
      readonly seconds: number;
    }
  | {
      readonly type: 'evaluation';
      readonly step: number;
      readonly phase: PhaseName;
      readonly scores: EvaluationScores;
      readonly images: EvaluationResult['images'] | null;
    }
  | { readonly type: 'switch'; readonly step: number; readonly reason: string }
  | { readonly type: 'rollback'; readonly step: number; readonly toStep: number; readonly reason: string }
  | { readonly type: 'checkpoint'; readonly step: number; readonly path: string }
  | {
      readonly type: 'finished';
      readonly step: number;
      readonly phase: PhaseName;
      readonly outcome: RunOutcome;
      readonly reason: string;
    }
  | { readonly type: 'stopped'; readonly step: number };

export type RunOutcome = 'complete' | 'guard-unmet' | 'rolled-back';

/** What a person, or the end of the process's time, asks of a run; looked at between steps. */
export interface RunControl {
  readonly stopRequested: boolean;
  /** Resolves when the run is not paused, at once as a rule. */
  untilResumed(): Promise<void>;
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
  readonly save: (state: RunState, pinned: boolean) => Promise<string>;
  /** Goes back to the newest sound checkpoint of at most `toStep`, in a new lineage, decoder-only. */
  readonly restore: (toStep: number, lineage: number) => Promise<RunState>;
  readonly unigramLossPerWord: number;
}

/**
 * The run: takes steps until the job is complete, one event each. Between steps it evaluates where the job says so,
 * decides, saves. Whatever it decides it journals first, so that a replay decides the same.
 */
export async function* run(parts: RunParts, from: RunState): AsyncGenerator<RunEvent> {
  const { job, journal, server, dispatcher, checkpoints, control, account } = parts;
  let state = from;
  let saving: Promise<RunEvent> | null = null;
  const saved: RunEvent[] = [];

  const save = (pinned = false): Promise<RunEvent> => {
    const { step } = state;
    saving = parts.save(state, pinned).then((path): RunEvent => ({ type: 'checkpoint', step, path }));
    // Whoever awaits it learns of a failure; until then it must not count as unhandled.
    saving.then(
      (event) => saved.push(event),
      () => undefined,
    );
    return saving;
  };
  const settleSaving = async function* (): AsyncGenerator<RunEvent> {
    await saving;
    yield* saved.splice(0);
  };

  const finish = (outcome: RunOutcome, reason: string): RunEvent => {
    const { step, phase } = state;
    journal.append({ type: 'finished', step, phase, outcome, reason });
    return { type: 'finished', step, phase, outcome, reason };
  };

  await dispatcher.restart(state.step, state.lineage);
  for (;;) {
    const { step } = state;
    if (state.rolledBack !== null && step >= state.rolledBack.toStep) {
      await save(true);
      yield* settleSaving();
      yield finish('rolled-back', state.rolledBack.reason);
      return;
    }
    if (state.rolledBack === null && isDecisionStep(job, state)) {
      const result = await evaluate(parts, state);
      yield { type: 'evaluation', step, phase: state.phase, ...result };
      const decision = decide(job, state, history(journal, state), parts.unigramLossPerWord);
      switch (decision.type) {
        case 'stay':
          break;
        case 'switch':
          // The joint phase may come back to this very version, so it is on disk before anything is risked.
          await save(true);
          yield* settleSaving();
          if (!journal.of('switch').some((entry) => entry.step === step && entry.lineage === state.lineage))
            journal.append({ type: 'switch', step, lineage: state.lineage, reason: decision.reason });
          state = { ...state, phase: 'joint', switchedAt: step };
          yield { type: 'switch', step, reason: decision.reason };
          break;
        case 'roll-back': {
          const { toStep, reason } = decision;
          await saving;
          const lineage = state.lineage + 1;
          journal.append({ type: 'rollback', atStep: step, toStep, lineage, reason });
          yield { type: 'rollback', step, toStep, reason };
          state = await parts.restore(toStep, lineage);
          await dispatcher.restart(state.step, lineage);
          continue;
        }
        case 'guard-unmet':
        case 'finish': {
          const outcome = decision.type === 'finish' ? 'complete' : 'guard-unmet';
          await save();
          yield* settleSaving();
          yield finish(outcome, decision.reason);
          return;
        }
        default:
          decision satisfies never;
      }
    }
    if (step > from.step && step !== state.switchedAt && step % job.checkpoints.everySteps === 0) {
      // One at a time: a disk slower than the interval holds the next save up, never a step's arithmetic.
      yield* settleSaving();
      void save();
    }
    yield* saved.splice(0);
    if (control.stopRequested) {
      await saving;
      if (!checkpoints.has(step)) await save();
      yield* settleSaving();
      yield { type: 'stopped', step };
      return;
    }
    await control.untilResumed();

    const began = performance.now();
    await dispatcher.advance(step, totalSteps(job, state));
    const rate = learningRate(job, state.phase, step - (state.switchedAt ?? 0));
    const outcome = await server.step({ step, phase: state.phase, learningRate: rate });
    const seconds = (performance.now() - began) / 1000;
    const { loss, gradientNorm, accepted } = outcome;
    account.add({
      step,
      generation: parts.generation,
      lineage: state.lineage,
      phase: state.phase,
      loss,
      gradientNorm,
      learningRate: rate,
      seconds,
      units: accepted,
    });
    state = { ...state, step: step + 1 };
    yield {
      type: 'step',
      step: step + 1,
      totalSteps: totalSteps(job, state),
      phase: state.phase,
      learningRate: rate,
      outcome,
      seconds,
    };
  }
}

/** The evaluations of this lineage up to now, as decisions see them. */
function history(journal: Journal, state: RunState): Parameters<typeof decide>[2] {
  return journal
    .of('evaluation')
    .filter((entry) => entry.lineage === state.lineage && entry.step <= state.step)
    .map(({ step, phase, scores }) => ({
      step,
      phase,
      lossPerWord: scores.lossPerWord,
      bleu4: scores.captions?.bleu[3] ?? null,
    }));
}

/** The current version's scores: computed by the workers, or as journalled when this very version was scored before. */
async function evaluate(
  { journal, round }: RunParts,
  { step, lineage, phase }: RunState,
): Promise<Pick<Extract<RunEvent, { type: 'evaluation' }>, 'scores' | 'images'>> {
  const known = journal.of('evaluation').find((entry) => entry.step === step && entry.lineage === lineage);
  if (known !== undefined) return { scores: known.scores, images: null };
  const { scores, images } = await round.evaluate(step, lineage);
  journal.append({ type: 'evaluation', step, lineage, phase, scores });
  return { scores, images };
}

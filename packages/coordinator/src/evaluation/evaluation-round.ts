import {
  Verdict,
  type PushEvaluationRequest,
  type PushEvaluationResponse,
  type RecordEvaluation,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { traced } from '@showtell/shared/service/tracing.js';
import type { Dispatcher } from '../dispatcher.js';
import { StepTraces } from '../step-traces.js';
import type { EvaluationThread } from './evaluation-thread.js';
import type { EvaluationResult } from './evaluation.js';

/** Far beyond any caption, and what a beam ends with. */
const [mostWords, mostCharacters, mostCaptions] = [1_000, 8_192, 32];

interface Round {
  readonly step: number;
  readonly lineage: number;
  readonly results: (readonly RecordEvaluation[] | undefined)[];
  missing: number;
  readonly done: (results: (readonly RecordEvaluation[])[]) => void;
}

/** Sends a version's evaluation through the queue and gathers what comes back, the first result of each unit. */
export class EvaluationRound {
  private round: Round | null = null;

  constructor(
    private readonly evaluation: EvaluationThread,
    private readonly dispatcher: Dispatcher,
    private readonly generation: number,
    private readonly traces = new StepTraces(),
  ) {}

  async evaluate(step: number, lineage: number): Promise<EvaluationResult> {
    const { work } = this.evaluation;
    const span = this.traces.evaluation(step, lineage);
    const results = await new Promise<(readonly RecordEvaluation[])[]>((done, failed) => {
      this.round = { step, lineage, results: work.map(() => undefined), missing: work.length, done };
      this.dispatcher.evaluate(step, work).catch(failed);
    });
    this.round = null;
    const scored = await traced(span.child('score'), () => this.evaluation.score(results));
    this.traces.finish({ step, lineage, evaluation: true });
    return scored;
  }

  /** The handler of `ParameterService.PushEvaluation`. */
  push({ unit, version, worker, records }: PushEvaluationRequest): PushEvaluationResponse {
    const { round } = this;
    const isCurrent =
      round !== null &&
      unit?.evaluation === true &&
      unit.generation === this.generation &&
      unit.lineage === round.lineage &&
      unit.step === round.step &&
      version?.generation === this.generation &&
      version.lineage === round.lineage &&
      version.step === round.step;
    if (!isCurrent) return { verdict: Verdict.VERDICT_STALE, detail: 'no such evaluation is under way' };
    if (records.length !== this.evaluation.work[unit.index]?.value.records.length)
      return { verdict: Verdict.VERDICT_INVALID, detail: `unit ${unit.index} does not have ${records.length} records` };
    if (round.results[unit.index] !== undefined) return { verdict: Verdict.VERDICT_DUPLICATE, detail: '' };
    for (const [i, record] of records.entries()) {
      const fault = faultOf(record);
      if (fault !== null)
        return { verdict: Verdict.VERDICT_INVALID, detail: `record ${i} of unit ${unit.index}: ${fault}` };
    }
    round.results[unit.index] = records;
    round.missing--;
    this.dispatcher.settle(unit, worker);
    if (round.missing === 0) round.done(round.results.map((result) => result ?? []));
    return { verdict: Verdict.VERDICT_ACCEPTED, detail: '' };
  }
}

/** What is wrong with a record's result, whose numbers decide and whose captions are kept; null: nothing. */
function faultOf({ lossSum, tokens, captions }: RecordEvaluation): string | null {
  if (!Number.isFinite(lossSum)) return 'its loss is not finite';
  if (tokens > mostWords) return `it has ${tokens} words of at most ${mostWords}`;
  if (captions.length > mostCaptions) return `it has ${captions.length} captions of at most ${mostCaptions}`;
  const isLong = captions.some(
    ({ caption, wordProbabilities }) => caption.length > mostCharacters || wordProbabilities.length > mostWords,
  );
  return isLong ? 'a caption is too long to be one' : null;
}

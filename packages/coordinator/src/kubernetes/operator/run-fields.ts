import type { ServedStatus } from '../../served-status.js';
import type { Finding, TrainingJobStatus } from './status.js';

type RunFields = Pick<
  TrainingJobStatus,
  | 'run'
  | 'trainingPhase'
  | 'step'
  | 'totalSteps'
  | 'loss'
  | 'bleu4'
  | 'perplexity'
  | 'imagesPerSecond'
  | 'estimatedEnd'
  | 'checkpointStep'
>;

const rounded = (value: number, digits: number): number => Number(value.toPrecision(digits));

/** What is shown of a run, from what its coordinator says; what it does not know is left out. */
export function runFields(status: ServedStatus, now: Date): RunFields {
  const { run, phase, step, totalSteps, loss, imagesPerSecond, etaSeconds, evaluation, checkpointStep } = status;
  const bleu4 = evaluation?.scores.captions?.bleu[3];
  const isTraining = status.state === 'training';
  // To ten seconds, so that it does not change with every look.
  const end = typeof etaSeconds === 'number' ? Math.ceil((now.getTime() / 1000 + etaSeconds) / 10) * 10_000 : null;
  return {
    ...(run === undefined ? {} : { run }),
    ...(phase === undefined ? {} : { trainingPhase: phase }),
    ...(step === undefined ? {} : { step }),
    ...(totalSteps === undefined ? {} : { totalSteps }),
    ...(typeof loss === 'number' && Number.isFinite(loss) ? { loss: rounded(loss, 6) } : {}),
    ...(bleu4 === undefined ? {} : { bleu4: rounded(bleu4, 4) }),
    ...(evaluation === undefined || evaluation === null
      ? {}
      : { perplexity: rounded(evaluation.scores.perplexity, 4) }),
    ...(isTraining && typeof imagesPerSecond === 'number' ? { imagesPerSecond: rounded(imagesPerSecond, 3) } : {}),
    ...(isTraining && end !== null ? { estimatedEnd: timeText(new Date(end)) } : {}),
    ...(typeof checkpointStep === 'number' ? { checkpointStep } : {}),
  };
}

/** A time as Kubernetes writes it: whole seconds, UTC. */
export const timeText = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, 'Z');

/** How a run ended, if it has: `Complete` for what `showtell train` ends with exit code 0. */
export function endOf({ state, end }: ServedStatus): { readonly type: 'Complete' | 'Failed'; finding: Finding } | null {
  if (state !== 'finished' && state !== 'failed') return null;
  const reason = end?.reason ?? state;
  const isGood = state === 'finished' && reason !== 'guard-unmet';
  const finding = { status: 'True', reason: camel(reason), message: end?.message ?? '' } as const;
  return { type: isGood ? 'Complete' : 'Failed', finding };
}

/** `data/folder-not-indexed` as conditions have their reasons: `DataFolderNotIndexed`. */
export const camel = (code: string): string =>
  code
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');

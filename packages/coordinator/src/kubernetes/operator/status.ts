/** The kinds of condition that a TrainingJob has. */
export const conditionTypes = ['Applied', 'Running', 'Suspended', 'Complete', 'Failed'] as const;
export type ConditionType = (typeof conditionTypes)[number];

export const jobPhases = ['Pending', 'Running', 'Suspended', 'Stopping', 'Succeeded', 'Failed'] as const;
export type JobPhase = (typeof jobPhases)[number];

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  /** For programs. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

/** What a condition says, times aside. */
export type Finding = Pick<Condition, 'status' | 'reason' | 'message'>;

/** `status` of a TrainingJob; custom-resource.ts describes its fields to the API server. */
export interface TrainingJobStatus {
  readonly phase?: JobPhase;
  readonly run?: string;
  readonly trainingPhase?: string;
  readonly step?: number;
  readonly totalSteps?: number;
  readonly loss?: number;
  readonly bleu4?: number;
  readonly perplexity?: number;
  imagesPerSecond?: number;
  estimatedEnd?: string;
  readonly checkpointStep?: number;
  readonly workers?: number;
  readonly selector?: string;
  readonly observedGeneration?: number;
  readonly startTime?: string;
  readonly completionTime?: string;
  readonly conditions?: readonly Condition[];
}

export function conditionOf({ conditions }: TrainingJobStatus, type: ConditionType): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export const isTrue = (status: TrainingJobStatus, type: ConditionType): boolean =>
  conditionOf(status, type)?.status === 'True';

/** The conditions with what was found now; a time changes only with its condition's status. */
export function withFindings(
  before: TrainingJobStatus,
  findings: Readonly<Partial<Record<ConditionType, Finding>>>,
  generation: number,
  now: string,
): Condition[] {
  return conditionTypes.flatMap((type) => {
    const old = conditionOf(before, type);
    const finding = findings[type];
    if (finding === undefined) return old === undefined ? [] : [old];
    const lastTransitionTime = old?.status === finding.status ? old.lastTransitionTime : now;
    return [{ type, ...finding, lastTransitionTime, observedGeneration: generation }];
  });
}

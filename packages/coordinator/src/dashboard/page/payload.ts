/** What server and page tell one another, as JSON. */

export type Phase = 'decoder-only' | 'joint';

/** A value over steps, thinned to stretches of steps: its mean and extremes in each; null where there is none. */
export interface Band {
  readonly mean: readonly (number | null)[];
  readonly low: readonly (number | null)[];
  readonly high: readonly (number | null)[];
}

/** The parts of a step, in the order in which they are stacked. */
export const partNames = ['compute', 'data', 'exchange', 'update', 'wait'] as const;
export type PartName = (typeof partNames)[number];

/** A part of a run's steps: a value a stretch in each list. */
export interface HistoryPart {
  /** Rises whenever steps that were told of are no more, as after a rollback. */
  readonly revision: number;
  /** Steps of the whole run that are known. */
  readonly count: number;
  /** Of the whole run; 0 where there is none. */
  readonly first: number;
  readonly last: number;
  /** Steps a stretch has, at most. */
  readonly stretch: number;
  /** The last step of each stretch. */
  readonly steps: readonly number[];
  readonly loss: Band;
  /** Of a step. */
  readonly seconds: Band;
  /** Examples a second. */
  readonly images: Band;
  /** Mean seconds of a step's parts. */
  readonly parts: Readonly<Record<PartName, readonly (number | null)[]>>;
}

/** One step: number, loss, seconds, images a second, then the parts in their order. */
export type StepRow = readonly [
  step: number,
  loss: number | null,
  seconds: number,
  images: number,
  ...(number | null)[],
];

export interface EvaluationPoint {
  readonly step: number;
  readonly phase: Phase;
  readonly perplexity: number;
  /** BLEU-1 to 4; null where the job captions no pictures. */
  readonly bleu: readonly [number, number, number, number] | null;
  readonly rougeL: number | null;
  readonly cider: number | null;
  readonly novelty: number | null;
  readonly colorAccuracy: number | null;
  /** Its captions are kept. */
  readonly hasCaptions: boolean;
}

export interface CheckpointRow {
  readonly step: number;
  readonly phase: Phase | null;
  /** Not sound: its manifest does not read. */
  readonly isDamaged: boolean;
  readonly pinned: boolean;
  readonly savedAt: string | null;
  readonly perplexity: number | null;
  readonly bleu4: number | null;
  readonly cider: number | null;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

/** Something that was decided or asked for. */
export interface RunMoment {
  readonly at: string;
  readonly step: number;
  readonly kind: 'began' | 'resumed' | 'switch' | 'refused' | 'rollback' | 'command' | 'finished';
  readonly text: string;
}

/** What changes now and then. */
export interface Summary {
  readonly name: string;
  readonly run: string;
  readonly created: string;
  readonly firstStep: number;
  readonly totalSteps: number;
  readonly switchedAt: number | null;
  /** Where the joint phase begins at the latest, unless it has; null where the job has none. */
  readonly plannedSwitch: number | null;
  readonly outcome: { readonly outcome: string; readonly reason: string } | null;
  readonly evaluations: readonly EvaluationPoint[];
  readonly checkpoints: readonly CheckpointRow[];
  readonly moments: readonly RunMoment[];
  readonly facts: readonly { readonly name: string; readonly value: string }[];
}

export interface WorkerRow {
  readonly id: string;
  readonly pid: number;
  readonly host: string;
  readonly engine: string;
  readonly units: number;
  readonly holding: number;
  readonly residentBytes: number | null;
  readonly doing: string;
  readonly computeSeconds: number;
  readonly waitDataSeconds: number;
  readonly waitParametersSeconds: number;
  readonly presentSeconds: number;
}

/** What changes all the time. */
export interface RunNow {
  readonly state: 'training' | 'paused' | 'finished' | 'not running';
  readonly step: number;
  readonly totalSteps: number;
  readonly phase: Phase;
  readonly loss: number | null;
  readonly learningRate: number | null;
  readonly imagesPerSecond: number | null;
  readonly etaSeconds: number | null;
  readonly workers: readonly WorkerRow[];
}

/** `GET /api/runs`. */
export interface RunList {
  readonly runs: readonly { readonly id: string; readonly name: string; readonly folder: string }[];
  /** Whether runs can be paused and so on from here. */
  readonly controls: boolean;
}

/** `GET /api/runs/ID`. */
export interface RunOverview {
  readonly summary: Summary;
  readonly now: RunNow;
  readonly history: HistoryPart;
}

/** Server-sent: `steps`. */
export interface NewSteps {
  readonly revision: number;
  readonly rows: readonly StepRow[];
}

/** `GET /api/runs/ID/evaluations/STEP`. */
export interface EvaluationPictures {
  readonly step: number;
  readonly pictures: readonly {
    readonly imageId: number;
    /** Name below `images/`. */
    readonly image: string;
    readonly captions: readonly {
      readonly caption: string;
      readonly logprob: number;
      /** Of each word, and of the end after them; empty where the run has not noted them. */
      readonly probabilities: readonly number[];
    }[];
    readonly references: readonly string[];
  }[];
}

/** `POST /api/runs/ID/checkpoints/STEP/verify`. */
export interface Verified {
  readonly isSound: boolean;
  readonly detail: string;
}

/** Any answer that is none of these. */
export interface Refusal {
  readonly error: string;
}

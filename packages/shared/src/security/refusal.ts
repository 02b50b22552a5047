/** Why a connection, a call or a message was refused; the label of a metric. */
export const refusalReasons = [
  'no-certificate',
  'certificate-expired',
  'unknown-authority',
  'certificate',
  'handshake',
  'malformed',
  'oversized',
  'too-many-connections',
  'too-many-sessions',
  'too-many-calls',
  'too-many-messages',
  'silent',
  'role',
  'no-session',
  'other-worker',
  'other-run',
  'other-job',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** One refusal, for the log and the metric. */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly detail: string;
  /** Address and port that it came from. */
  readonly peer: string;
}

export type OnRefused = (refusal: Refusal) => void;

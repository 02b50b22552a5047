/**
 * Every failure showtell reports on purpose, in one table: a code scripts can match, the exit code of a command that
 * ends by it, the text composed from facts, and what the reader can do. `docs/errors.md` is printed from this table.
 *
 * Exit codes follow sysexits(3) where it has a fitting one: 64 usage, 65 data, 66 input missing, 69 service
 * unavailable, 70 internal, 73 cannot create, 74 input/output, 75 try again, 78 configuration. showtell's own: 10 guard
 * unmet, 11 stopped by a person and resumable.
 */
interface ErrorEntry<F> {
  readonly exit: number;
  /** What happened and where, from facts alone. */
  readonly text: (facts: F) => string;
  /** What to do about it. */
  readonly remedy: (facts: F) => string;
}

function entry<F>(exit: number, text: (facts: F) => string, remedy: (facts: F) => string): ErrorEntry<F> {
  return { exit, text, remedy };
}

export const errorTable = {
  // general
  'usage/invalid': entry<{ detail: string; command: string }>(
    64,
    (f) => f.detail,
    (f) => `Run "showtell ${f.command} --help" for the options.`,
  ),
  'file/missing': entry<{ file: string; what: string }>(
    66,
    (f) => `${f.what} ${f.file} does not exist.`,
    () => 'Check the path.',
  ),
} as const satisfies Record<string, ErrorEntry<never>>;

export type ErrorCode = keyof typeof errorTable;
export type ErrorFacts<C extends ErrorCode> = Parameters<(typeof errorTable)[C]['text']>[0];

/** A failure from {@link errorTable}. `message` says what and where, `remedy` what to do; the origin is `cause`. */
export class ShowtellError<C extends ErrorCode = ErrorCode> extends Error {
  readonly exitCode: number;
  readonly remedy: string;

  constructor(
    readonly code: C,
    readonly facts: ErrorFacts<C>,
    options?: { cause?: unknown },
  ) {
    const row = errorTable[code] as unknown as ErrorEntry<ErrorFacts<C>>;
    super(row.text(facts), options);
    this.name = 'ShowtellError';
    this.exitCode = row.exit;
    this.remedy = row.remedy(facts);
  }
}

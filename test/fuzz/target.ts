import { ShowtellError } from '@showtell/shared/errors.js';
import { AllocationGuard } from './allocation-guard.js';

/** Something that is parsed, and what may be thrown at it. */
export interface FuzzTarget {
  readonly name: string;
  /** What it is in the product, for the report. */
  readonly what: string;
  /** Sound input to begin with: the corpus. Names tell what they are. */
  readonly seeds: () => Readonly<Record<string, Uint8Array>>;
  /** Inputs that the fuzzer makes are no longer, where long ones are many short ones; absent: 16 KiB. */
  readonly mostBytes?: number;
  /** Parses the input and uses what comes out. */
  readonly run: (input: Buffer) => void | Promise<void>;
  /** Errors besides ShowtellError that the function says it throws. */
  readonly alsoThrows?: (error: unknown) => boolean;
}

const guard = new AllocationGuard();

/**
 * Runs a target on an input: a value comes out, or a ShowtellError of the table. Anything else is a finding, and so is an
 * array that is larger than the input can account for.
 */
export function check({ run, alsoThrows }: FuzzTarget, input: Buffer): void | Promise<void> {
  const judge = (error: unknown): void => {
    if (!(error instanceof ShowtellError) && alsoThrows?.(error) !== true) throw error;
  };
  guard.begin(input.length);
  let result: void | Promise<void>;
  try {
    result = run(input);
  } catch (error) {
    guard.end();
    judge(error);
    return;
  }
  if (result === undefined) {
    guard.end();
    return;
  }
  return result.then(
    () => guard.end(),
    (error: unknown) => {
      guard.end();
      judge(error);
    },
  );
}

import { createReadStream, existsSync } from 'node:fs';
import { open, stat, truncate, type FileHandle } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { PhaseName } from '@showtell/shared/job/phases.js';

/** One unit's result as the parameter server counted it. */
export interface CountedUnit {
  readonly index: number;
  readonly worker: string;
  /** Which offer of the unit it answered. */
  readonly attempt: number;
  /** Examples that counted; fewer than the unit's records where some were skipped. */
  readonly examples: number;
}

/** One step of the run: a line of `steps.jsonl`. */
export interface AccountedStep {
  /** The step taken: it led from version `step` to version `step` + 1. */
  readonly step: number;
  readonly generation: number;
  readonly lineage: number;
  readonly phase: PhaseName;
  /** Mean loss a word over the step's words, without L2. */
  readonly loss: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly seconds: number;
  readonly units: readonly CountedUnit[];
}

/**
 * The parameter server's own account: which result of which unit made each step. On resuming it is cut back to the
 * checkpoint, so that it always tells how the present parameters came about, each step once.
 */
export class StepAccount implements AsyncDisposable {
  private pending: Promise<unknown> = Promise.resolve();
  private failed = false;

  private constructor(
    private readonly handle: FileHandle,
    private readonly onFailure: (error: unknown) => void,
  ) {}

  /**
   * Opens the account of a run that goes on from version `step`.
   *
   * @param onFailure told once when a line could not be written: the account has gaps, training goes on.
   */
  static async open(file: string, step: number, onFailure: (error: unknown) => void): Promise<StepAccount> {
    if (existsSync(file)) await cutBack(file, step);
    return new StepAccount(await open(file, 'a'), onFailure);
  }

  /** Notes a step. Writes follow one another in the background; a lost tail is computed again with its steps. */
  add(step: AccountedStep): void {
    this.pending = this.pending
      .then(() => this.handle.appendFile(`${JSON.stringify(step)}\n`))
      .catch((error: unknown) => {
        if (!this.failed) this.onFailure(error);
        this.failed = true;
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pending;
    await this.handle.close();
  }
}

/** The steps of an account, in order; a torn last line is left out. */
export async function* readAccount(file: string): AsyncGenerator<AccountedStep> {
  if (!existsSync(file)) return;
  for await (const line of linesOf(file)) {
    const step = parse(line);
    if (step !== null) yield step;
  }
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const input = createReadStream(file);
  try {
    yield* createInterface({ input, crlfDelay: Infinity });
  } finally {
    // Leaving the loop early ends the interface, not the stream below it.
    input.destroy();
  }
}

function parse(line: string): AccountedStep | null {
  try {
    return JSON.parse(line) as AccountedStep;
  } catch {
    return null;
  }
}

/** Drops the steps from `step` on. They are in order, so what stays is a head of the file. */
async function cutBack(file: string, step: number): Promise<void> {
  const { size } = await stat(file);
  let bytes = 0;
  for await (const line of linesOf(file)) {
    const noted = parse(line);
    const end = bytes + Buffer.byteLength(line) + 1;
    // A last line without its end is torn, however much of it there is.
    if (noted === null || noted.step >= step || end > size) break;
    bytes = end;
  }
  await truncate(file, bytes);
}

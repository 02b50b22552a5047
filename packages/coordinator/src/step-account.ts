import { createReadStream, existsSync } from 'node:fs';
import { open, stat, truncate, type FileHandle } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import type { StepParts } from './step-parts.js';

/** One unit's result as the parameter server counted it. */
export interface CountedUnit {
  readonly index: number;
  readonly worker: string;
  /** Which offer of the unit it answered. */
  readonly attempt: number;
  /** Examples that counted; fewer than the unit's records where some were skipped. */
  readonly examples: number;
  /** Asynchronous mode: its place in the plan, where that is not the step's. */
  readonly step?: number;
  /** Asynchronous mode: updates between the version it was computed with and the one it was applied to. */
  readonly staleness?: number;
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
  /** Where they went; runs of earlier versions have not noted it. */
  readonly parts?: StepParts;
  /** When the step was taken, in milliseconds since 1970; runs of earlier versions have not noted it. */
  readonly at?: number;
  readonly units: readonly CountedUnit[];
}

/** Lines that a disk which takes none may keep waiting; older ones are dropped. */
const mostWaiting = 20_000;

/**
 * The parameter server's own account: which result of which unit made each step. On resuming it is cut back to the
 * checkpoint, so that it always tells how the present parameters came about, each step once.
 */
export class StepAccount implements AsyncDisposable {
  private pending: Promise<void> = Promise.resolve();
  /** Not on disk yet, oldest first. */
  private readonly waiting: Buffer[] = [];
  private failed = false;

  private constructor(
    private readonly handle: FileHandle,
    /** Of whole lines. */
    private bytes: number,
    private readonly onFailure: (error: unknown) => void,
    private readonly mayWrite: () => void,
  ) {}

  /**
   * Opens the account of a run that goes on from version `step`.
   *
   * @param onFailure told when lines cannot be written, and not again until they could: they wait, and training goes on.
   * @param mayWrite throws when this process is no longer the run's coordinator: lines that wait are nobody's then.
   */
  static async open(
    file: string,
    step: number,
    onFailure: (error: unknown) => void,
    mayWrite: () => void = () => undefined,
  ): Promise<StepAccount> {
    if (existsSync(file)) await cutBack(file, step);
    const handle = await open(file, 'a');
    return new StepAccount(handle, (await handle.stat()).size, onFailure, mayWrite);
  }

  /** Notes a step. Writes follow one another in the background; a lost tail is computed again with its steps. */
  add(step: AccountedStep): void {
    this.waiting.push(Buffer.from(`${JSON.stringify(step)}\n`));
    // The first may be half written.
    if (this.waiting.length > mostWaiting) this.waiting.splice(1, 1);
    this.pending = this.pending.then(() => this.write());
  }

  /** Waits until all that was noted is on disk, or cannot be: no checkpoint should be ahead of its account. */
  async flush(): Promise<void> {
    this.pending = this.pending
      .then(() => this.write())
      .then(() => this.handle.datasync())
      .catch((error: unknown) => this.fail(error));
    await this.pending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    await this.handle.close();
  }

  private async write(): Promise<void> {
    for (let line = this.waiting[0]; line !== undefined; line = this.waiting[0]) {
      if (!this.isOurs()) return;
      try {
        await append(this.handle, line);
      } catch (error) {
        this.fail(error);
        // A part of the line may have found room.
        await this.handle.truncate(this.bytes).catch(() => undefined);
        return;
      }
      this.bytes += line.length;
      this.waiting.shift();
      this.failed = false;
    }
  }

  private isOurs(): boolean {
    try {
      this.mayWrite();
      return true;
    } catch {
      return false;
    }
  }

  private fail(error: unknown): void {
    if (!this.failed) this.onFailure(error);
    this.failed = true;
  }
}

async function append(handle: FileHandle, content: Buffer): Promise<void> {
  for (let written = 0; written < content.length;)
    written += (await handle.write(content, written, content.length - written, null)).bytesWritten;
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

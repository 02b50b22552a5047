import { open, stat } from 'node:fs/promises';
import type { Summary } from './page/payload.js';
import type { RunFolder } from '../run-folder.js';
import type { AccountedStep } from '../step-account.js';
import { History } from './history.js';
import { summarize } from './summary.js';

const pieceBytes = 256 * 1024;

/**
 * What a run's folder tells, kept up to date while somebody looks: of the account only what is new is read, in pieces
 * between which the process does its other work. Who writes the folder, this process or another, makes no difference.
 */
export class RunFiles {
  readonly history = new History();
  #summary: Summary | null = null;
  #stamp = '';
  /** Read of the account so far. */
  #position = 0;
  #file = 0;
  #torn = Buffer.alloc(0);
  #refreshing: Promise<void> = Promise.resolve();

  constructor(readonly folder: RunFolder) {}

  /** Read when {@link refresh} was last called. @throws Error before that */
  get summary(): Summary {
    if (this.#summary === null) throw new Error('the run was not read yet');
    return this.#summary;
  }

  /** Reads what is new. @throws ShowtellError `run/missing`, `journal/damaged` */
  refresh(): Promise<void> {
    const refreshing = this.#refreshing.then(async () => {
      await this.#readAccount();
      await this.#readRest();
    });
    this.#refreshing = refreshing.catch(() => undefined);
    return refreshing;
  }

  async #readAccount(): Promise<void> {
    const handle = await open(this.folder.at('steps.jsonl')).catch(() => null);
    if (handle === null) return;
    try {
      const { size, ino } = await handle.stat();
      // It was cut back, as when the run is resumed, or is another file.
      if (size < this.#position || ino !== this.#file) this.#restart(ino);
      const piece = Buffer.alloc(Math.min(pieceBytes, size));
      // What does not go on from what was read before is read anew, once: then it is as it stands.
      let isAnew = this.#position === 0;
      while (this.#position < size) {
        const { bytesRead } = await handle.read(piece, 0, piece.length, this.#position);
        if (bytesRead === 0) break;
        this.#position += bytesRead;
        if (this.#take(piece.subarray(0, bytesRead), isAnew)) continue;
        this.#restart(ino);
        isAnew = true;
      }
    } finally {
      await handle.close();
    }
  }

  #restart(file: number): void {
    this.#file = file;
    this.#position = 0;
    this.#torn = Buffer.alloc(0);
    if (this.history.count > 0) this.history.clear();
  }

  /** @returns false, unless it is read anew, at a line that is no step or not the next: the file was cut and grew again */
  #take(bytes: Buffer, isAnew: boolean): boolean {
    const text = this.#torn.length === 0 ? bytes : Buffer.concat([this.#torn, bytes]);
    let start = 0;
    for (let end = text.indexOf(10); end !== -1; end = text.indexOf(10, start)) {
      const step = parse(text.toString('utf8', start, end));
      start = end + 1;
      const goesOn = step !== null && (this.history.count === 0 || step.step <= this.history.last);
      if (!goesOn && !isAnew) return false;
      if (step !== null) this.#add(step);
    }
    this.#torn = Buffer.from(text.subarray(start));
    return true;
  }

  #add({ step, loss, seconds, units, parts }: AccountedStep): void {
    this.history.add({
      step: step + 1,
      loss,
      seconds,
      examples: units.reduce((sum, unit) => sum + unit.examples, 0),
      parts: parts ?? null,
    });
  }

  async #readRest(): Promise<void> {
    const stamps = ['journal.jsonl', 'job.json', 'checkpoints', 'evaluations'].map(async (name) => {
      const found = await stat(this.folder.at(name)).catch(() => null);
      return found === null ? '' : `${found.mtimeMs}/${found.size}`;
    });
    const stamp = (await Promise.all(stamps)).join(' ');
    if (stamp === this.#stamp) return;
    this.#summary = await summarize(this.folder);
    this.#stamp = stamp;
  }
}

function parse(line: string): AccountedStep | null {
  try {
    const step = JSON.parse(line) as AccountedStep;
    return Number.isSafeInteger(step.step) && Array.isArray(step.units) ? step : null;
  } catch {
    return null;
  }
}

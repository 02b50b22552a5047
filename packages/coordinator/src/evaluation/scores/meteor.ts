import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { MeteorProgram } from '../meteor-files.js';
import type { ScoredCaption } from './number-tokens.js';

/** Loading the paraphrases takes some five seconds, the answer to one line a few milliseconds. */
const silenceLimitMs = 120_000;

export interface MeteorScores {
  /** Of the set's sums of matches, hence no mean of the captions' values. */
  readonly corpus: number;
  readonly captions: readonly number[];
}

/**
 * METEOR 1.5 by its own program, spoken to as pycocoevalcap's `Meteor` does, so that its values are those to the digit.
 * @param silenceMs how long the program may say nothing before it is given up
 * @throws ShowtellError `meteor/failed` when the program ends, says something else than a score, or nothing for too long
 */
export async function meteor(
  { java, jar }: MeteorProgram,
  captions: readonly ScoredCaption[],
  silenceMs = silenceLimitMs,
): Promise<MeteorScores> {
  if (captions.length === 0) return { corpus: 0, captions: [] };
  const options = ['-jar', '-Xmx2G', jar, '-', '-', '-stdio', '-l', 'en', '-norm'];
  const child = spawn(java, options, { cwd: dirname(jar), stdio: 'pipe' });
  try {
    const answers = new Answers(child, jar, silenceMs);
    child.stdin.write(captions.map(scoreLine).join(''));
    const statistics: string[] = [];
    for (const caption of captions) {
      const line = await answers.next();
      if (!/^[\d. E-]+$/.test(line)) throw failed(jar, `it answered "${line}" to "${scoreLine(caption).trim()}"`);
      statistics.push(line);
    }
    child.stdin.write(`EVAL${statistics.map((line) => ` ||| ${line}`).join('')}\n`);
    const values: number[] = [];
    // One value a caption, then the set's.
    while (values.length <= captions.length) {
      const line = await answers.next();
      const value = Number(line);
      if (line === '' || !Number.isFinite(value)) throw failed(jar, `it answered "${line}" where a score was due`);
      values.push(value);
    }
    return { corpus: values.at(-1) ?? 0, captions: values.slice(0, -1) };
  } finally {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) await once(child, 'exit');
    // What the program started may hold its ends of the pipes.
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
  }
}

/** As pycocoevalcap writes it: bars and doubled spaces are taken from the candidate only. */
function scoreLine({ candidate, references }: ScoredCaption): string {
  const hypothesis = candidate.join(' ').replaceAll('|||', '').replaceAll('  ', ' ');
  return `${['SCORE', ...references.map((reference) => reference.join(' ')), hypothesis].join(' ||| ')}\n`;
}

/** The lines a program writes, one at a time, each within a time limit. */
class Answers {
  readonly #lines: AsyncIterator<string>;
  #stderr = '';
  #spawnError: Error | null = null;

  constructor(
    private readonly child: ChildProcessWithoutNullStreams,
    private readonly jar: string,
    private readonly silenceMs: number,
  ) {
    this.#lines = createInterface({ input: child.stdout, crlfDelay: Infinity })[Symbol.asyncIterator]();
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr = (this.#stderr + text).slice(-4000)));
    child.on('error', (error) => (this.#spawnError = error));
    // A program that has ended is told of where its answer is awaited.
    child.stdin.on('error', () => undefined);
  }

  async next(): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(failed(this.jar, `it said nothing for ${this.silenceMs / 1000} s`)),
        this.silenceMs,
      );
    });
    try {
      const line = await Promise.race([this.#lines.next(), silence]);
      if (line.done !== true) return line.value.trim();
    } finally {
      clearTimeout(timer);
    }
    if (this.child.exitCode === null && this.child.signalCode === null && this.#spawnError === null)
      await once(this.child, 'close').catch(() => undefined);
    throw failed(this.jar, this.#spawnError?.message ?? `it ended (${this.#how()})${this.#said()}`);
  }

  #how(): string {
    const { exitCode, signalCode } = this.child;
    return signalCode === null ? `exit status ${exitCode ?? 'unknown'}` : signalCode;
  }

  #said(): string {
    const line = this.#stderr.trim().split('\n')[0];
    return line === undefined || line === '' ? '' : `: ${line}`;
  }
}

function failed(jar: string, detail: string): ShowtellError {
  return new ShowtellError('meteor/failed', { jar, detail });
}

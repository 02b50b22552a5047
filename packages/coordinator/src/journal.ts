import { crc32c } from '@node-rs/crc32';
import { closeSync, existsSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import type { EvaluationScores } from './evaluation/evaluation.js';
import { isJournalLine } from './journal-schema.js';
import type { RunCommand } from './run-commands.js';

/**
 * What a run decided, and what it decided by: everything that is not in a checkpoint and cannot be computed from the
 * job file. Each entry is written and synced before it acts.
 */
export type JournalEntry =
  | { readonly type: 'generation'; readonly generation: number; readonly fromStep: number | null }
  | { readonly type: 'canary'; readonly graph: string; readonly sha256: string }
  | {
      readonly type: 'evaluation';
      readonly step: number;
      readonly lineage: number;
      readonly phase: PhaseName;
      readonly scores: EvaluationScores;
    }
  | { readonly type: 'switch'; readonly step: number; readonly lineage: number; readonly reason: string }
  /** A person asked for the joint phase: the version of this step is decided about, the guard allowing. */
  | { readonly type: 'switch-order'; readonly step: number; readonly lineage: number }
  | { readonly type: 'switch-refused'; readonly step: number; readonly lineage: number; readonly reason: string }
  | {
      readonly type: 'rollback';
      readonly atStep: number;
      readonly toStep: number;
      /** The lineage that begins with it. */
      readonly lineage: number;
      readonly reason: string;
    }
  | { readonly type: 'skipped'; readonly step: number; readonly unit: number; readonly records: readonly string[] }
  | { readonly type: 'command'; readonly command: RunCommand; readonly step: number }
  | {
      readonly type: 'finished';
      readonly step: number;
      readonly phase: PhaseName;
      readonly outcome: 'complete' | 'guard-unmet' | 'rolled-back';
      readonly reason: string;
    };

interface Line {
  readonly crc: number;
  readonly at: string;
  readonly entry: JournalEntry;
}

function checksum(at: string, entry: JournalEntry): number {
  return crc32c(JSON.stringify([at, entry]));
}

/** A run's `journal.jsonl`: a line an entry, each with the CRC-32C of its content, in the order of their writing. */
export class Journal implements Disposable {
  private closed = false;

  private constructor(
    readonly file: string,
    private readonly descriptor: number,
    private readonly written: JournalEntry[],
    private readonly mayWrite: () => void,
  ) {}

  /**
   * Opens or begins a journal. A last line that a crash tore is cut off: it had not acted yet.
   *
   * @param mayWrite throws when this process is no longer the run's coordinator; asked before each entry.
   * @throws ShowtellError `journal/damaged` when a line before the last does not match its checksum.
   */
  static open(file: string, mayWrite: () => void): Journal {
    const { entries, bytes } = existsSync(file) ? readLines(file) : { entries: [], bytes: 0 };
    mayWrite();
    const descriptor = openSync(file, existsSync(file) ? 'r+' : 'w+');
    if (fstatSync(descriptor).size > bytes) ftruncateSync(descriptor, bytes);
    return new Journal(file, descriptor, entries, mayWrite);
  }

  /** The entries of a journal that somebody else may be writing. */
  static read(file: string): readonly JournalEntry[] {
    return existsSync(file) ? readLines(file).entries : [];
  }

  /** As {@link read} gives them, each with the time at which it was written (ISO 8601). */
  static readTimed(file: string): readonly { readonly at: string; readonly entry: JournalEntry }[] {
    if (!existsSync(file)) return [];
    const { entries, times } = readLines(file);
    return entries.map((entry, i) => ({ at: times[i] ?? '', entry }));
  }

  get entries(): readonly JournalEntry[] {
    return this.written;
  }

  of<T extends JournalEntry['type']>(type: T): Extract<JournalEntry, { type: T }>[] {
    return this.written.filter((entry): entry is Extract<JournalEntry, { type: T }> => entry.type === type);
  }

  /** Appends an entry; it is on disk when this returns. */
  append(entry: JournalEntry): void {
    // Its descriptor's number may be another file's by now.
    if (this.closed) throw new Error(`the journal ${this.file} is closed`);
    this.mayWrite();
    const at = new Date().toISOString();
    const line: Line = { crc: checksum(at, entry), at, entry };
    const position = fstatSync(this.descriptor).size;
    try {
      writeWhole(this.descriptor, Buffer.from(`${JSON.stringify(line)}\n`), position);
      fsyncSync(this.descriptor);
    } catch (cause) {
      cutBack(this.descriptor, position);
      throw new ShowtellError('journal/write-failed', { file: this.file }, { cause });
    }
    this.written.push(entry);
  }

  [Symbol.dispose](): void {
    if (!this.closed) closeSync(this.descriptor);
    this.closed = true;
  }
}

/** The entry that says how the run ended, if nobody has gone on with it since. */
export function finishOf(entries: readonly JournalEntry[]): Extract<JournalEntry, { type: 'finished' }> | null {
  const last = entries.findLast((entry) => entry.type === 'finished' || entry.type === 'generation');
  return last?.type === 'finished' ? last : null;
}

/** A full disk takes a part of a line and says so by the count alone. */
function writeWhole(descriptor: number, content: Buffer, position: number): void {
  for (let written = 0; written < content.length;)
    written += writeSync(descriptor, content, written, content.length - written, position + written);
}

/** What cannot be cut off now is cut off as a torn line when the journal is opened again. */
function cutBack(descriptor: number, bytes: number): void {
  try {
    ftruncateSync(descriptor, bytes);
  } catch {
    // The failure to write, which is about to be thrown, says what is the matter with the disk.
  }
}

function readLines(file: string): { entries: JournalEntry[]; times: string[]; bytes: number } {
  const content = readFileSync(file);
  const entries: JournalEntry[] = [];
  const times: string[] = [];
  let start = 0;
  for (let n = 1; start < content.length; n++) {
    const end = content.indexOf(10, start);
    const line = end === -1 ? undefined : parseLine(content.toString('utf8', start, end));
    if (line === undefined) {
      const isLast = end === -1 || end === content.length - 1;
      if (!isLast) throw new ShowtellError('journal/damaged', { file, line: n });
      break;
    }
    entries.push(line.entry);
    times.push(line.at);
    start = end + 1;
  }
  return { entries, times, bytes: start };
}

function parseLine(text: string): Line | undefined {
  try {
    const line: unknown = JSON.parse(text);
    if (!isJournalLine(line)) return undefined;
    const { crc, at, entry } = line as Line;
    return crc === checksum(at, entry) ? { crc, at, entry } : undefined;
  } catch {
    return undefined;
  }
}

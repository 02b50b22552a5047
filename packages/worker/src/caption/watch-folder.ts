import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { ShowtellError } from '@showtell/shared/errors.js';
import { listPictures } from './find-pictures.js';

export interface WatchOptions {
  readonly recursive: boolean;
  /** Milliseconds between two looks. */
  readonly everyMs: number;
  /** How long a file that does not decode must stand still before it counts as damaged rather than half written. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/** A file as last seen. */
interface Seen {
  readonly size: number;
  readonly changed: number;
  /** When this size and time were first seen. */
  readonly since: number;
  state: 'settling' | 'tried' | 'done';
}

/** A picture that stands still. */
export interface Arrival {
  readonly file: string;
  /** Whether it has stood still so long that, if it does not decode, it is damaged. */
  readonly isLastTry: boolean;
  /** To be called when it was captioned or told as damaged; until then it is offered again. */
  done(): void;
}

/**
 * Pictures as they appear in a folder, or change there; those that are there at the start are left alone. A file is
 * offered once two looks in a row found it the same, and again until it is done: when it changes, or for a last time when it
 * has stood still for `patienceMs`. Looking is by listing the folder, which works on network drives too.
 *
 * Yields groups: what was ready at one look. Ends when the signal says so.
 * @throws ShowtellError `picture/unreadable` when the folder is not there at the start
 */
export async function* watchFolder(
  folder: string,
  { recursive, everyMs, patienceMs, signal }: WatchOptions,
  onReady: () => void,
): AsyncGenerator<readonly Arrival[], void, undefined> {
  const seen = new Map<string, Seen>();
  try {
    for (const file of await listPictures(folder, recursive)) await look(seen, file, 'done');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new ShowtellError('picture/unreadable', { where: folder, detail: code ?? message }, { cause });
  }
  onReady();

  for (;;) {
    await delay(everyMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    // A folder that is away for a while, as network drives are, is looked for again.
    const files = await listPictures(folder, recursive).catch(() => null);
    if (files === null) continue;
    for (const file of seen.keys()) if (!files.includes(file)) seen.delete(file);
    const ready: Arrival[] = [];
    for (const file of files) {
      const before = seen.get(file);
      const now = await look(seen, file, 'settling');
      if (now === null || now !== before || now.state === 'done') continue;
      const isLastTry = Date.now() - now.since >= patienceMs;
      if (now.state === 'tried' && !isLastTry) continue;
      now.state = 'tried';
      ready.push({ file, isLastTry, done: () => (now.state = 'done') });
    }
    if (ready.length > 0) yield ready;
  }
}

/** Notes a file's size and time. @returns what was noted before if it is the same still; null when the file is gone */
async function look(seen: Map<string, Seen>, file: string, state: Seen['state']): Promise<Seen | null> {
  const stats = await stat(file).catch(() => null);
  if (stats === null) {
    seen.delete(file);
    return null;
  }
  const known = seen.get(file);
  if (known?.size === stats.size && known.changed === stats.mtimeMs) return known;
  const fresh: Seen = { size: stats.size, changed: stats.mtimeMs, since: Date.now(), state };
  seen.set(file, fresh);
  return fresh;
}

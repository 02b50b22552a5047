import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ShowtellError } from '../errors.js';

/** A holder that has not touched its lock for so long is taken for dead, whichever host it is on. */
const staleAfterMs = 60_000;

/**
 * Runs `work` while holding `file` as a lock between processes, also over a shared home folder. A lock whose process
 * on this host is gone, or that was not touched for a minute, is taken over; `onWait` is called once when another
 * process holds it. Throws `setup/cache-unwritable`, and whatever `work` throws.
 */
export async function withFileLock<T>(
  file: string,
  work: () => Promise<T>,
  onWait?: (holder: string) => void,
): Promise<T> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await take(file, onWait);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new ShowtellError('setup/cache-unwritable', { file, detail }, { cause: error });
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, 5_000);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    await rm(file, { force: true });
  }
}

async function take(file: string, onWait?: (holder: string) => void): Promise<void> {
  const me = `${hostname()} ${process.pid}\n`;
  for (let waits = 0; ; waits++) {
    try {
      await writeFile(file, me, { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = await readFile(file, 'utf8').catch(() => '');
    if (await isStale(file, holder)) {
      await takeAway(file, holder);
      continue;
    }
    if (waits === 0) onWait?.(holder.trim());
    await sleep(200);
  }
}

async function isStale(file: string, holder: string): Promise<boolean> {
  const touched = await stat(file).catch(() => undefined);
  if (touched === undefined) return false;
  if (Date.now() - touched.mtimeMs > staleAfterMs) return true;
  const [host, pid] = holder.trim().split(' ');
  if (host !== hostname() || pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Renaming decides who of several waiters removes a stale lock, and shows whether it still is the one judged stale. */
async function takeAway(file: string, holder: string): Promise<void> {
  const aside = `${file}.${process.pid}.stale`;
  try {
    await rename(file, aside);
  } catch {
    return;
  }
  const taken = await readFile(aside, 'utf8').catch(() => '');
  if (taken === holder) await rm(aside, { force: true });
  else await rename(aside, file);
}

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';

/** The commit that is checked out; null where a file differs from it, or where there is none. */
function commit(): string | null {
  const git = (...args: string[]): string | null => {
    const { status, stdout } = spawnSync('git', args, { encoding: 'utf8' });
    return status === 0 ? stdout.trim() : null;
  };
  return git('status', '--porcelain') === '' ? git('rev-parse', 'HEAD') : null;
}

/**
 * What takes long, kept for the commit that is checked out: a run of `npm run test:long` that was stopped goes on with
 * what it has not done. Where files differ from the commit everything is done anew.
 *
 * @param compute what it comes to, as JSON; only what succeeds is kept
 */
export async function kept<T>(name: string, compute: () => Promise<T>): Promise<T> {
  const of = commit();
  if (of === null) return compute();
  const folder = join(cacheFolder(), 'long', of);
  const file = join(folder, `${name.replaceAll(/[^A-Za-z0-9]+/g, '-')}.json`);
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    const value = await compute();
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${file}.writing`, JSON.stringify(value));
    renameSync(`${file}.writing`, file);
    return value;
  }
}

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { syncFolder, writingSuffix } from '../write-checkpoint.js';

/**
 * Has a file or folder written beside its place and renames it: it is whole or absent.
 * @throws ShowtellError `checkpoint/exists`, `file/unwritable`, and what `write` throws of its own
 */
export async function writeBeside<T>(out: string, write: (beside: string) => Promise<T>): Promise<T> {
  if (existsSync(out)) throw new ShowtellError('checkpoint/exists', { path: out });
  const beside = `${out}${writingSuffix}`;
  try {
    mkdirSync(path.dirname(beside), { recursive: true });
    rmSync(beside, { recursive: true, force: true });
    const done = await write(beside);
    sync(beside);
    renameSync(beside, out);
    syncFolder(path.dirname(path.resolve(out)));
    return done;
  } catch (error) {
    // Where not even the parent is a folder, nothing was written and nothing can be removed.
    if (existsSync(beside)) rmSync(beside, { recursive: true, force: true });
    if (error instanceof ShowtellError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new ShowtellError('file/unwritable', { file: out, detail }, { cause: error });
  }
}

/** Of a folder, its list of names; files in it are synced by who wrote them. */
function sync(file: string): void {
  const fd = openSync(file, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

import { constants } from 'node:fs';
import { open, realpath, type FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';

/**
 * Opens a file that lies in a folder, and nothing else: names that lead out of it, links wherever they stand in the
 * path below it, and what is no plain file are taken for absent.
 *
 * @returns null when there is no such file
 */
export async function openInside(folder: string, ...names: readonly string[]): Promise<FileHandle | null> {
  // No name may be a path of its own.
  if (names.some((name) => name === '' || name.startsWith('.') || /[/\\\0]/u.test(name))) return null;
  try {
    const root = await realpath(folder);
    const path = join(root, ...names);
    if ((await realpath(path)) !== path || !path.startsWith(root + sep)) return null;
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    return null;
  } catch {
    return null;
  }
}

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder: string | null = null;

/** A folder of this process, in memory where there is such a file system; it goes when the process ends. */
export function scratchFolder(): string {
  if (folder === null) {
    const made = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'showtell-fuzz-'));
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return folder;
}

/** Writes a file for parsers that take a path. @returns the path */
export function scratchFile(name: string, bytes: Uint8Array): string {
  const file = join(scratchFolder(), name);
  writeFileSync(file, bytes);
  return file;
}

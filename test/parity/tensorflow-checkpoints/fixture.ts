import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A file that generate.py made. */
export function fixture(...names: string[]): string {
  return join(fileURLToPath(new URL('.', import.meta.url)), ...names);
}

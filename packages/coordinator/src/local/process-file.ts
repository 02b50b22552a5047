import { writeFileSync } from 'node:fs';
import type { RunFolder } from '../run-folder.js';

/** Notes a child process in `processes/NAME.json`, so that scripts can find and signal it. */
export function writeProcessFile(
  folder: RunFolder,
  name: string,
  facts: { readonly pid: number; readonly role: string },
): void {
  const content = { ...facts, startedAt: new Date().toISOString() };
  writeFileSync(folder.at('processes', `${name}.json`), `${JSON.stringify(content, null, 2)}\n`);
}

import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { wordsOf } from '../open-checkpoint.js';
import type { Exported, ExportRequest } from './exporters.js';
import { writeBeside } from './write-beside.js';

/**
 * A folder with a SavedModel for serving, its weights within; docs/saved-model.md tells its signatures. Graphs are the
 * worker package's business, so a process of it writes them.
 */
export async function exportSavedModel({ checkpoint, out, vocabulary }: ExportRequest): Promise<Exported> {
  const { file: words } = await wordsOf(checkpoint, vocabulary);
  return writeBeside(out, async (beside) => {
    mkdirSync(beside);
    const program = fileURLToPath(import.meta.resolve('@showtell/worker/export-saved-model.js'));
    const args = [program, '--checkpoint', checkpoint.directory, '--words', words, '--into', beside];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    return { path: out, ...(JSON.parse(stdout) as Omit<Exported, 'path'>) };
  });
}

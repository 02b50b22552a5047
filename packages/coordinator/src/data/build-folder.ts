import { appendFile, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { MANIFEST_FILE, readManifest } from '@showtell/shared/data/dataset.js';

const STATE_FOLDER = '.build';
const PLAN_FILE = 'plan';
const CHECKS_FILE = 'pictures.jsonl';

/** A picture looked at in this build or in the one it resumes. */
export interface PictureCheck {
  readonly imageId: number;
  /** Why it can't be used, or null. */
  readonly fault: string | null;
}

/**
 * Takes a folder for a build: begins, resumes where the same build was interrupted, or finds it complete.
 * @param plan hash of all that decides the build's result
 * @throws ShowtellError `data/folder-occupied` when the folder holds another build or shards of unknown origin
 */
export async function claimFolder(directory: string, plan: string): Promise<'begun' | 'resumed' | 'complete'> {
  const occupied = (detail: string) => new ShowtellError('data/folder-occupied', { directory, detail });
  await mkdir(directory, { recursive: true });
  const files = await readdir(directory);
  if (files.includes(MANIFEST_FILE)) {
    const manifest = await readManifest(directory);
    if (manifest.source['plan'] === plan) return 'complete';
    throw occupied('its dataset.json was made from other input or with other options');
  }
  const kept = await readFile(join(directory, STATE_FOLDER, PLAN_FILE), 'utf8').catch(() => null);
  if (kept === plan) return 'resumed';
  const shard = files.find((name) => /^(train|val|test)-\d{5}-of-\d{5}$/.test(name));
  if (shard !== undefined) {
    throw occupied(`its ${shard} is of ${kept === null ? 'unknown origin' : 'an unfinished build with other input or options'}`);
  }
  await rm(join(directory, STATE_FOLDER), { recursive: true, force: true });
  await mkdir(join(directory, STATE_FOLDER), { recursive: true });
  await writeWhole(join(directory, STATE_FOLDER, PLAN_FILE), plan);
  return 'begun';
}

/** The checks an interrupted build had done. */
export async function readChecks(directory: string): Promise<PictureCheck[]> {
  const text = await readFile(join(directory, STATE_FOLDER, CHECKS_FILE), 'utf8').catch(() => '');
  const checks: PictureCheck[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    try {
      checks.push(JSON.parse(line) as PictureCheck);
    } catch {
      break; // A line that a crash cut short, and whatever stands after it, is done again.
    }
  }
  return checks;
}

export async function appendChecks(directory: string, checks: readonly PictureCheck[]): Promise<void> {
  const lines = checks.map((check) => `${JSON.stringify(check)}\n`).join('');
  await appendFile(join(directory, STATE_FOLDER, CHECKS_FILE), lines);
}

/** Writes the manifest, by which the folder becomes a data folder, and drops the state of the build. */
export async function finishFolder(directory: string, manifest: string): Promise<void> {
  await writeWhole(join(directory, MANIFEST_FILE), manifest);
  await rm(join(directory, STATE_FOLDER), { recursive: true, force: true });
}

/** Writes a file beside its name, syncs and renames it: it is there whole or not at all. */
export async function writeWhole(file: string, content: string | Uint8Array): Promise<void> {
  const partial = `${file}.partial`;
  const handle = await open(partial, 'w');
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}

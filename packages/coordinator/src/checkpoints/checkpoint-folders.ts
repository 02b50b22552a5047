import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Manifest } from './manifest.js';
import { readManifest } from './read-checkpoint.js';
import { type KeptCheckpoint, type Retention, toPrune } from './retention.js';
import { pinFile, replacedSuffix, writingSuffix } from './write-checkpoint.js';

/** A line of the list: a checkpoint whose manifest is sound; its files are checked when it is read. */
export interface ListedCheckpoint {
  readonly step: number;
  readonly path: string;
  readonly pinned: boolean;
  /** null when the manifest itself is damaged. */
  readonly manifest: Manifest | null;
}

const folderName = /^\d{8,}$/;

/** 8 digits, so that folders sort as steps do. */
export function nameOf(step: number): string {
  return String(step).padStart(8, '0');
}

/** The checkpoints in a folder, in step order. */
export function listCheckpoints(directory: string): ListedCheckpoint[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => folderName.test(name))
    .sort((a, b) => Number(a) - Number(b))
    .map((name) => {
      const folder = path.join(directory, name);
      const pinned = existsSync(path.join(folder, pinFile));
      return { step: Number(name), path: folder, pinned, manifest: soundManifest(folder) };
    });
}

function soundManifest(folder: string): Manifest | null {
  try {
    return readManifest(folder);
  } catch (error) {
    if (error instanceof ShowtellError) return null;
    throw error;
  }
}

/**
 * Removes checkpoints but for the last ones, the best and those that are pinned.
 * @returns their steps; with `dryRun` they stay
 */
export function pruneCheckpoints(directory: string, keep: Retention, dryRun = false): number[] {
  const steps = toPrune(listCheckpoints(directory).map(keptOf), keep);
  if (!dryRun)
    for (const step of steps) {
      const folder = path.join(directory, nameOf(step));
      // Renamed first: a removal that is interrupted must not leave half a checkpoint under its name.
      const aside = `${folder}${writingSuffix}`;
      renameSync(folder, aside);
      rmSync(aside, { recursive: true, force: true });
    }
  return steps;
}

/** Removes what interrupted writes left. Nothing may be written there meanwhile. */
export function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    const file = path.join(directory, name);
    if (name.endsWith(writingSuffix)) rmSync(file, { recursive: true, force: true });
    if (!name.endsWith(replacedSuffix)) continue;
    const place = path.join(directory, name.slice(0, -replacedSuffix.length));
    if (existsSync(place)) rmSync(file, { recursive: true, force: true });
    else renameSync(file, place);
  }
}

export const keptOf = ({ step, pinned, manifest }: ListedCheckpoint): KeptCheckpoint => ({
  step,
  pinned,
  bleu4: manifest?.metrics.bleu4 ?? null,
});

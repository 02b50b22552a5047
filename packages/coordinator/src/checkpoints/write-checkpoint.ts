import { createHash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { hashTensors, type NamedTensor } from '@showtell/shared/tensors/hash.js';
import { safetensorsBytes, writeWhole } from '@showtell/shared/tensors/safetensors.js';
import {
  type CheckpointAbout,
  encodeManifest,
  type ManifestContent,
  manifestFile,
  optimizerFile,
  parametersFile,
} from './manifest.js';

export interface CheckpointToWrite {
  /** The checkpoints' folder. */
  readonly directory: string;
  /** The checkpoint's folder within it. */
  readonly name: string;
  readonly about: CheckpointAbout;
  readonly savedAt: string;
  readonly parameters: readonly NamedTensor[];
  readonly optimizer: readonly NamedTensor[];
  readonly pinned: boolean;
  /** Further files of the folder, by name. */
  readonly beside?: Readonly<Record<string, Uint8Array>>;
}

/** The words of the tables' rows, where a checkpoint stands outside its run. */
export const vocabularyFile = 'word_counts.txt';

/** Names of folders that are not checkpoints yet, or no longer: leftovers when a process finds them at its start. */
export const writingSuffix = '.writing';
export const replacedSuffix = '.replaced';

/** A file in a checkpoint's folder that keeps it from being pruned. */
export const pinFile = 'pinned';

/**
 * Writes a checkpoint beside its place, syncs every file and the folder, and renames it: a reader sees it whole or not
 * at all. One of the same name is replaced.
 * @throws the system's error; nothing of the new checkpoint is left then, and older ones are untouched
 */
export function writeCheckpoint(checkpoint: CheckpointToWrite): ManifestContent {
  const { directory, name, about } = checkpoint;
  const beside = path.join(directory, `${name}${writingSuffix}`);
  try {
    rmSync(beside, { recursive: true, force: true });
    mkdirSync(beside, { recursive: true });
    const files: ManifestContent['files'] = {};
    const writeTensors = (file: string, tensors: readonly NamedTensor[]): void => {
      files[file] = writeSynced(path.join(beside, file), safetensorsBytes(tensors, { format: 'showtell' }));
    };
    writeTensors(parametersFile, checkpoint.parameters);
    if (checkpoint.optimizer.length > 0) writeTensors(optimizerFile, checkpoint.optimizer);
    const content: ManifestContent = {
      format: 'showtell-checkpoint-1',
      ...about,
      savedAt: checkpoint.savedAt,
      parameters: { count: elementsOf(checkpoint.parameters), ...summary(checkpoint.parameters) },
      optimizer: summary(checkpoint.optimizer),
      files,
    };
    writeSynced(path.join(beside, manifestFile), [Buffer.from(encodeManifest(content))]);
    if (checkpoint.pinned) writeSynced(path.join(beside, pinFile), []);
    for (const [file, bytes] of Object.entries(checkpoint.beside ?? {})) writeSynced(path.join(beside, file), [bytes]);
    syncFolder(beside);
    moveIntoPlace(directory, beside, name);
    return content;
  } catch (error) {
    rmSync(beside, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Writes a checkpoint where none is yet: by a command, which replaces nothing.
 * @throws ShowtellError `checkpoint/exists`, `file/unwritable`
 */
export function writeNewCheckpoint(checkpoint: CheckpointToWrite): ManifestContent {
  const out = path.join(checkpoint.directory, checkpoint.name);
  if (existsSync(out)) throw new ShowtellError('checkpoint/exists', { path: out });
  try {
    return writeCheckpoint(checkpoint);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new ShowtellError('file/unwritable', { file: out, detail }, { cause: error });
  }
}

function moveIntoPlace(directory: string, beside: string, name: string): void {
  const place = path.join(directory, name);
  const aside = path.join(directory, `${name}${replacedSuffix}`);
  const replaces = existsSync(place);
  if (replaces) {
    rmSync(aside, { recursive: true, force: true });
    renameSync(place, aside);
  }
  renameSync(beside, place);
  syncFolder(directory);
  if (replaces) rmSync(aside, { recursive: true, force: true });
}

function writeSynced(file: string, pieces: Iterable<Uint8Array>): { bytes: number; sha256: string } {
  const hash = createHash('sha256');
  let bytes = 0;
  const fd = openSync(file, 'wx');
  try {
    for (const piece of pieces) {
      writeWhole(fd, piece);
      hash.update(piece);
      bytes += piece.length;
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Makes the names in a folder durable. */
export function syncFolder(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function elementsOf(tensors: readonly NamedTensor[]): number {
  return tensors.reduce((sum, { values }) => sum + values.length, 0);
}

function summary(tensors: readonly NamedTensor[]): { bytes: number; sha256: string } {
  return { bytes: elementsOf(tensors) * 4, sha256: hashTensors(tensors) };
}

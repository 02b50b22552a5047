import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readRecord, type Split } from '@showtell/shared/data/dataset.js';
import { decodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import type { CaptionedImage, EvaluationResult, EvaluationScores, FoundCaption } from './evaluation.js';

/** Which version an evaluation is of. */
export interface EvaluatedVersion {
  readonly step: number;
  readonly phase: 'decoder-only' | 'joint';
  readonly lineage: number;
}

/** `scores.json` of an evaluation's folder. */
export interface SavedScores extends EvaluatedVersion {
  readonly scores: EvaluationScores;
}

/**
 * One picture in `captions.json`. The file is an array of these, so it is in COCO's results format too:
 * `showtell evaluate --partial --annotations … --results captions.json` scores it again.
 */
export interface SavedCaption {
  readonly image_id: number;
  /** The best caption. */
  readonly caption: string;
  /** All captions the search ended with, best first. */
  readonly captions: readonly (Omit<FoundCaption, 'probabilities'> & Partial<Pick<FoundCaption, 'probabilities'>>)[];
  readonly references: readonly string[];
  /** The picture's file, relative to the folder of all evaluations; `null` where it isn't kept. */
  readonly image: string | null;
}

export interface SavedEvaluation extends SavedScores {
  readonly captions: readonly SavedCaption[];
}

const partialSuffix = '.partial';
const besideSuffix = '.tmp';

/** The pictures of an evaluation whose files are kept: the first so many, the same in each evaluation. */
const keptImages = 24;

/** A picture's JPEG file, from its record. */
export function imagesFrom(split: Split): (image: CaptionedImage) => Promise<Uint8Array> {
  return async ({ record }) => decodeCaptionExample(await readRecord(split, record)).jpeg;
}

/**
 * Keeps an evaluation: `FOLDER/<step, 8 digits>/scores.json` and `captions.json`, the pictures of the first captions in
 * `FOLDER/images/`, where evaluations share them. A folder is whole or absent; one of an earlier try at the same
 * step is replaced.
 * @param folder the run's folder of evaluations
 * @returns the evaluation's own folder
 */
export async function saveEvaluation(
  folder: string,
  version: EvaluatedVersion,
  { scores, images }: EvaluationResult,
  readImage: (image: CaptionedImage) => Promise<Uint8Array>,
): Promise<string> {
  await mkdir(join(folder, 'images'), { recursive: true });
  const kept = new Map<number, string>();
  for (const image of images.slice(0, keptImages)) {
    const name = `images/${image.imageId}.jpg`;
    if (!existsSync(join(folder, name))) await writeWhole(join(folder, name), await readImage(image));
    kept.set(image.imageId, name);
  }
  const captions = images.map(({ imageId, captions: found, references }): SavedCaption => ({
    image_id: imageId,
    caption: found[0]?.caption ?? '',
    captions: found,
    references,
    image: kept.get(imageId) ?? null,
  }));

  const target = join(folder, folderName(version.step));
  const beside = `${target}${partialSuffix}`;
  await rm(beside, { recursive: true, force: true });
  try {
    await mkdir(beside);
    const { step, phase, lineage } = version;
    await writeWhole(join(beside, 'scores.json'), toJson({ step, phase, lineage, scores } satisfies SavedScores));
    await writeWhole(join(beside, 'captions.json'), toJson(captions));
    await rm(target, { recursive: true, force: true });
    await rename(beside, target);
  } catch (error) {
    await rm(beside, { recursive: true, force: true });
    throw error;
  }
  return target;
}

/** Removes what {@link saveEvaluation} left that was killed. */
export async function removeUnfinished(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const name of await readdir(folder, { recursive: true }))
    if (name.endsWith(partialSuffix) || name.endsWith(besideSuffix))
      await rm(join(folder, name), { recursive: true, force: true });
}

/** Steps whose evaluations are kept in a run's folder of evaluations, rising. */
export async function listEvaluations(folder: string): Promise<number[]> {
  if (!existsSync(folder)) return [];
  const names = await readdir(folder);
  return names
    .filter((name) => /^\d{8,}$/u.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** What {@link saveEvaluation} kept. Rejects as `readFile` does when there is none of that step. */
export async function loadEvaluation(folder: string, step: number): Promise<SavedEvaluation> {
  const read = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(join(folder, folderName(step), name), 'utf8'));
  const [scores, captions] = await Promise.all([read('scores.json'), read('captions.json')]);
  return { ...(scores as SavedScores), captions: captions as SavedCaption[] };
}

function folderName(step: number): string {
  return String(step).padStart(8, '0');
}

function toJson(content: unknown): string {
  return `${JSON.stringify(content, null, 1)}\n`;
}

/** Written beside, synced and renamed, so that a file of this name is whole. */
async function writeWhole(file: string, content: string | Uint8Array): Promise<void> {
  const beside = `${file}${besideSuffix}`;
  try {
    await using handle = await open(beside, 'w');
    await handle.writeFile(content);
    await handle.sync();
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await rename(beside, file);
}

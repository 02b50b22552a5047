import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { silent } from '@showtell/coordinator/data/progress.js';
import type { BuildCocoOptions } from '@showtell/coordinator/data/build-coco.js';

/** A small picture of one colour, told apart by its number. */
export function plainPicture(number: number): Sharp {
  const background = { r: (number * 37) % 256, g: (number * 91) % 256, b: (number * 53) % 256 };
  return sharp({ create: { width: 24 + (number % 8), height: 16, channels: 3, background } });
}

export interface CocoSet {
  readonly annotations: string;
  readonly images: string;
}

/** Writes a COCO caption set of JPEGs: image 100 + i has the captions of entry i. */
export async function writeCocoSet(folder: string, captions: readonly (readonly string[])[]): Promise<CocoSet> {
  const images = join(folder, 'images');
  mkdirSync(images, { recursive: true });
  const coco = { images: [] as object[], annotations: [] as object[] };
  for (const [i, texts] of captions.entries()) {
    const id = 100 + i;
    const file_name = `COCO_${id}.jpg`;
    await plainPicture(i).jpeg().toFile(join(images, file_name));
    coco.images.push({ id, file_name, width: 24, height: 16 });
    for (const [n, caption] of texts.entries()) coco.annotations.push({ id: 1000 + i * 10 + n, image_id: id, caption });
  }
  const annotations = join(folder, 'captions.json');
  writeFileSync(annotations, JSON.stringify(coco));
  return { annotations, images };
}

/** What the command line would pass without flags, but for the minimum count. */
export function buildOptions(set: CocoSet, directory: string): BuildCocoOptions {
  return {
    ...set,
    directory,
    valAnnotations: null,
    valImages: null,
    split: { kind: 'auto' },
    shards: { train: null, val: null, test: null },
    minWordCount: 1,
    maxWords: 100,
    seed: 12345,
    threads: 2,
    convert: false,
    skipBad: false,
    progress: silent,
  };
}

import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { ShowtellError } from '@showtell/shared/errors.js';
import { SPLIT_NAMES, type DatasetManifest, type SplitName } from '@showtell/shared/data/manifest.js';
import { random } from '@showtell/shared/random.js';
import { claimFolder } from './build-folder.js';
import type { CaptionedPicture } from './coco.js';
import { drawScene } from './draw-scene.js';
import type { Progress } from './progress.js';
import { BACKGROUNDS, inventScene, MAX_COUNT, MAX_OBJECTS, type SceneOptions } from './scene.js';
import { describeSceneTimes } from './scene-captions.js';
import { writeDataset } from './write-dataset.js';

/** Goes up when the same options draw or describe something else than before. */
const DRAWING = 1;

export interface SynthOptions extends SceneOptions {
  readonly directory: string;
  readonly seed: number;
  /** Pictures to draw for each split. */
  readonly pictures: Readonly<Record<SplitName, number>>;
  /** Side of a picture in pixels. */
  readonly size: number;
  /** Captions a picture. */
  readonly captions: number;
  readonly shards: Readonly<Record<SplitName, number | null>>;
  readonly threads: number;
  readonly progress: Progress;
}

/**
 * Draws a COCO-format set of coloured scenes and builds a data folder of it: pictures under `images/`, their captions in
 * `captions-{train,val,test}.json`, with the true scene beside each picture's file name. The same options give the same
 * folder to the byte with the same version of libvips.
 * @returns the manifest, or null when the folder already held this very set
 * @throws ShowtellError `usage/invalid`, `data/folder-occupied`
 */
export async function synthesize(options: SynthOptions): Promise<DatasetManifest | null> {
  checkOptions(options);
  const { directory, seed, pictures, size, objects, maxCount, backgrounds, captions } = options;
  const source = { kind: 'synth', drawing: DRAWING, seed, pictures, size, objects, maxCount, backgrounds, captions } as const;
  const plan = createHash('sha256').update(JSON.stringify({ source, shards: options.shards })).digest('hex');
  if ((await claimFolder(directory, plan)) === 'complete') return null;
  await mkdir(join(directory, 'images'), { recursive: true });
  const splits = {} as Record<SplitName, CaptionedPicture[]>;
  let firstId = 1;
  for (const name of SPLIT_NAMES) {
    splits[name] = await drawSplit(name, firstId, options);
    firstId += pictures[name];
  }
  return writeDataset({
    directory,
    source,
    plan,
    splits,
    skipped: [],
    shards: options.shards,
    minWordCount: 1,
    maxWords: 100,
    seed,
    threads: options.threads,
    convert: false,
    skipBad: false,
    check: false,
    progress: options.progress,
  });
}

function checkOptions(options: SynthOptions): void {
  const wrong = (detail: string) => new ShowtellError('usage/invalid', { detail, command: 'data synth' });
  const within = (name: string, value: number, low: number, high: number): void => {
    if (!Number.isInteger(value) || value < low || value > high) {
      throw wrong(`${name} ${value} is not an integer from ${low} to ${high}.`);
    }
  };
  for (const name of SPLIT_NAMES) within(`--${name}`, options.pictures[name], 1, 10_000_000);
  within('--size', options.size, 16, 4096);
  within('--objects', options.objects, 1, MAX_OBJECTS);
  within('--max-count', options.maxCount, 1, MAX_COUNT);
  within('--backgrounds', options.backgrounds, 1, BACKGROUNDS.length);
  within('--captions', options.captions, 1, 100);
}

async function drawSplit(name: SplitName, firstId: number, options: SynthOptions): Promise<CaptionedPicture[]> {
  const { directory, seed, size, captions, progress } = options;
  const count = options.pictures[name];
  progress.begin(`drawing ${name}`, count);
  const limit = pLimit(options.threads);
  const drawn = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      limit(async (): Promise<CaptionedPicture> => {
        const imageId = firstId + i;
        const fileName = `scene_${String(imageId).padStart(12, '0')}.jpg`;
        const file = join(directory, 'images', fileName);
        // Named by split and place in it: more pictures for one split leave the others' as they are.
        const scene = inventScene(options, random(seed, 'scene', name, i));
        const texts = describeSceneTimes(scene, captions, random(seed, 'captions', name, i));
        const jpeg = await drawScene(scene, size, random(seed, 'picture', name, i));
        const there = await readFile(file).catch(() => null);
        if (!there?.equals(jpeg)) await writeFile(file, jpeg);
        progress.advance(1);
        return {
          imageId,
          fileName,
          file,
          captions: texts.map((text, n) => ({ id: (imageId - 1) * captions + n + 1, text })),
          scene,
        };
      }),
    ),
  );
  progress.end();
  return drawn;
}

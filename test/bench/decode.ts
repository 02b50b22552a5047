import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { random } from '@showtell/shared/random.js';
import { setEngineEnvironment } from '@showtell/worker/engine/tensorflow/addon.js';
import { openImageDecoder } from '@showtell/worker/input/decode-image.js';
import { centralCrop, distortColors, drawDistortion } from '@showtell/worker/input/distort.js';
import type { Picture } from '@showtell/worker/input/picture.js';
import { resizeCrop } from '@showtell/worker/input/resize.js';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { writePhotographs } from '../support/photographs.js';
import type { BenchFigure } from './figure.js';

const command = 'npm run bench -- --only decode';
const seconds = 3;
const resized = 346;
const side = 299;

/** Photographs of 640 × 480, as MSCOCO's mostly are, in files beside their bytes. */
async function photographs(folder: string): Promise<{ files: string[]; jpegs: Buffer[] } | null> {
  const set = await writePhotographs(folder);
  if (set === null) return null;
  const files: string[] = [];
  for (const name of readdirSync(set.images).sort()) {
    const file = join(folder, `640-${name}`);
    await sharp(join(set.images, name)).resize(640, 480, { fit: 'fill' }).jpeg({ quality: 90 }).toFile(file);
    files.push(file);
  }
  return { files, jpegs: files.map((file) => readFileSync(file)) };
}

/** Milliseconds of one call, over all pictures again and again. */
async function timePictures<T>(pictures: readonly T[], use: (picture: T) => unknown): Promise<number> {
  for (const picture of pictures) await use(picture);
  const start = performance.now();
  let rounds = 0;
  while (performance.now() - start < seconds * 1000) {
    for (const picture of pictures) await use(picture);
    rounds++;
  }
  return (performance.now() - start) / (rounds * pictures.length);
}

/** sharp with what suits it best here: one thread, no cache, no colour management, no shrinking while decoding. */
async function decodeBySharp(jpeg: Buffer): Promise<Picture> {
  const { data, info } = await sharp(jpeg, { sequentialRead: true, ignoreIcc: true })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, rgb: data };
}

/** Milliseconds of Pillow's decoding and resizing; null where it can't be had. */
function timePillow(files: readonly string[]): number | null {
  const venv = join(cacheFolder(), 'bench', 'pillow-13.0.0');
  const python = join(venv, 'bin', 'python');
  try {
    if (!existsSync(python)) execFileSync('python3', ['-m', 'venv', venv]);
    execFileSync(python, ['-m', 'pip', 'install', '-q', 'pillow==13.0.0']);
    const script = fileURLToPath(new URL('./peers/decode_pillow.py', import.meta.url));
    return Number(execFileSync(python, [script, String(seconds), ...files], { encoding: 'utf8' })) * 1000;
  } catch (error) {
    console.error(`no Pillow to compare with: ${error instanceof Error ? error.message : String(error)}`);
    rmSync(venv, { recursive: true, force: true });
    return null;
  }
}

/** Reading pictures, one thread: decode, resize to 346 × 346 and crop 299 × 299, as training without augmentation does. */
export async function* benchDecode(): AsyncGenerator<BenchFigure> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-bench-'));
  try {
    const set = await photographs(folder);
    if (set === null) return;
    setEngineEnvironment({ threads: 1 });
    sharp.concurrency(1);
    sharp.cache(false);
    const decoder = openImageDecoder('cpu');
    const image = new Float32Array(side * side * 3);
    const crop = centralCrop(resized, side);
    const draw = (picture: Picture): void => resizeCrop(picture, resized, crop, image, 0, 'centred');

    const figure = (name: string, ours: number, peer: number | null): BenchFigure => ({
      name,
      ours,
      peer,
      ratio: peer === null ? null : ours / peer,
      target: null,
      unit: 'ms',
      command,
    });
    const whole = await timePictures(set.jpegs, (jpeg) => draw(decoder.decode(jpeg, 'a photograph')));
    yield figure('decode and resize a 640×480 photograph, one thread (peer: Pillow)', whole, timePillow(set.files));
    const decode = await timePictures(set.jpegs, (jpeg) => decoder.decode(jpeg, 'a photograph'));
    const sharpDecode = await timePictures(set.jpegs, decodeBySharp);
    yield figure("decode it by TensorFlow's DecodeJpeg (peer: sharp)", decode, sharpDecode);
    const pictures = set.jpegs.map((jpeg) => decoder.decode(jpeg, 'a photograph'));
    const distortion = drawDistortion(random(1, 'bench'), resized, side);
    const distort = await timePictures(pictures, (picture) => {
      resizeCrop(picture, resized, distortion.crop, image);
      distortColors(image, distortion);
    });
    yield figure("resize it with im2txt's distortions", distort, null);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

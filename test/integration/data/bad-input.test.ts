import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildCoco } from '@showtell/coordinator/data/build-coco.js';
import { openDataset } from '@showtell/shared/data/dataset.js';
import { buildOptions, plainPicture, writeCocoSet, type CocoSet } from '../../support/coco-set.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

interface Annotations {
  images: { id: number; file_name: string }[];
  annotations: { id: number; image_id: number; caption: string }[];
}

function edit(set: CocoSet, change: (coco: Annotations) => void): void {
  const coco = JSON.parse(readFileSync(set.annotations, 'utf8')) as Annotations;
  change(coco);
  writeFileSync(set.annotations, JSON.stringify(coco));
}

type Damage = (set: CocoSet) => Promise<void> | void;

const perRecord: [what: string, damage: Damage, code: string, message: RegExp][] = [
  [
    'an image that is absent',
    (set) => rmSync(join(set.images, 'COCO_101.jpg')),
    'data/image-absent',
    /^Image 101 of .*captions\.json has no file .*COCO_101\.jpg\.$/,
  ],
  [
    'an annotation for an image that is not listed',
    (set) => edit(set, (coco) => coco.images.splice(1, 1)),
    'data/annotations-unreadable',
    /annotation 1010 is for image 101, which it lacks/,
  ],
  [
    'an image without a caption',
    (set) => edit(set, (coco) => (coco.annotations = coco.annotations.filter(({ image_id }) => image_id !== 101))),
    'data/image-uncaptioned',
    /^Image 101 .* has no caption/,
  ],
  [
    'a caption of no words',
    (set) => edit(set, (coco) => (coco.annotations[1]!.caption = '  \n')),
    'data/caption-length',
    /^Annotation 1010 \(image 101, COCO_101\.jpg\) has 0 words, not 1 to 100/,
  ],
  [
    'a caption of 500 words',
    (set) => edit(set, (coco) => (coco.annotations[1]!.caption = 'word '.repeat(500))),
    'data/caption-length',
    /^Annotation 1010 \(image 101, COCO_101\.jpg\) has 500 words, not 1 to 100/,
  ],
  [
    'a JPEG cut short',
    (set) => {
      const file = join(set.images, 'COCO_101.jpg');
      const bytes = readFileSync(file);
      writeFileSync(file, bytes.subarray(0, bytes.length - 40));
    },
    'data/image-undecodable',
    /^Image 101 \(.*COCO_101\.jpg\) is no RGB JPEG that decodes: .*premature end/i,
  ],
  [
    'a file that is no picture',
    (set) => writeFileSync(join(set.images, 'COCO_101.jpg'), 'hello'),
    'data/image-undecodable',
    /^Image 101 .*unsupported image format/,
  ],
  [
    'a PNG',
    (set) => plainPicture(1).png().toFile(join(set.images, 'COCO_101.jpg')).then(() => undefined),
    'data/image-undecodable',
    /^Image 101 .*it is png in srgb/,
  ],
  [
    'a CMYK JPEG',
    (set) => plainPicture(1).toColourspace('cmyk').jpeg().toFile(join(set.images, 'COCO_101.jpg')).then(() => undefined),
    'data/image-undecodable',
    /^Image 101 .*it is jpeg in cmyk/,
  ],
];

describe('bad input of build-coco', () => {
  it.each(perRecord)('%s is refused by name, or left out and named with --skip-bad', async (_, damage, code, message) => {
    const folder = temporaryFolder();
    const set = await writeCocoSet(folder, [['one'], ['two'], ['three']]);
    await damage(set);
    const options = buildOptions(set, join(folder, 'out'));
    await expect(buildCoco(options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    const manifest = await buildCoco({ ...options, skipBad: true });
    expect(manifest?.skipped.length).toBeGreaterThan(0);
    expect(manifest?.skipped.every(({ imageId }) => imageId === 101)).toBe(true);
    const train = (await openDataset(options.directory)).split('train');
    expect([train.count, train.images]).toEqual([2, 2]);
  });

  it('a PNG and a CMYK JPEG are encoded anew with --convert', async () => {
    const folder = temporaryFolder();
    const set = await writeCocoSet(folder, [['one'], ['two'], ['three']]);
    await plainPicture(1).png().toFile(join(set.images, 'COCO_101.jpg'));
    await plainPicture(2).toColourspace('cmyk').jpeg().toFile(join(set.images, 'COCO_102.jpg'));
    const manifest = await buildCoco({ ...buildOptions(set, join(folder, 'out')), convert: true });
    expect(manifest?.splits.train.records).toBe(3);
  });

  it.each<[string, (set: CocoSet) => void, string, RegExp]>([
    ['broken JSON', (set) => writeFileSync(set.annotations, '{"images": ['), 'data/annotations-unreadable', /it is no JSON/],
    [
      'a field of the wrong type',
      (set) => edit(set, (coco) => ((coco.images[1] as unknown as Record<string, unknown>)['file_name'] = 7)),
      'data/annotations-unreadable',
      /images\.1\.file_name/,
    ],
    [
      'an image listed twice',
      (set) => edit(set, (coco) => (coco.images[1]!.id = 100)),
      'data/annotations-unreadable',
      /image id 100 \(COCO_101\.jpg\) stands twice/,
    ],
    [
      'a file name outside the folder',
      (set) => edit(set, (coco) => (coco.images[1]!.file_name = '../captions.json')),
      'data/annotations-unreadable',
      /image 101 has the file name \.\.\/captions\.json/,
    ],
    ['no annotation file', (set) => rmSync(set.annotations), 'file/missing', /The annotation file .* does not exist/],
    ['no folder of images', (set) => rmSync(set.images, { recursive: true }), 'file/missing', /The folder of images/],
    ['no images at all', (set) => edit(set, (coco) => (coco.images = [])), 'data/annotations-unreadable', /annotation/],
  ])('%s is refused by name', async (_, damage, code, message) => {
    const folder = temporaryFolder();
    const set = await writeCocoSet(folder, [['one'], ['two'], ['three']]);
    damage(set);
    const built = buildCoco(buildOptions(set, join(folder, 'out')));
    await expect(built).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it('more shards than records are refused', async () => {
    const folder = temporaryFolder();
    const set = await writeCocoSet(folder, [['one'], ['two']]);
    const options = { ...buildOptions(set, join(folder, 'out')), shards: { train: 256, val: null, test: null } };
    await expect(buildCoco(options)).rejects.toMatchObject({ code: 'data/split-impossible' });
  });
});

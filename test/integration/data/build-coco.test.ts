import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildCoco } from '@showtell/coordinator/data/build-coco.js';
import { silent } from '@showtell/coordinator/data/progress.js';
import { closeRecords, openDataset, readRecord, type Split } from '@showtell/shared/data/dataset.js';
import { decodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { buildOptions, writeCocoSet } from '../../support/coco-set.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const FOUR = [
  ['A red bus.', 'The bus is red', 'a bus'],
  ["A cat's bed isn't empty!", 'a "cat"'],
  ['Two dogs.', 'Two dogs run. One barks.'],
  ['a rocket'],
];

async function pairs(split: Split) {
  const read = [];
  for (let i = 0; i < split.count; i++) read.push(decodeCaptionExample(await readRecord(split, split.record(i))));
  return read;
}

function contents(folder: string): Map<string, Buffer> {
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

describe('build-coco', () => {
  it('puts four pictures, every caption of them, in train, val and test', async () => {
    const folder = temporaryFolder();
    const set = await writeCocoSet(folder, FOUR);
    const out = join(folder, 'out');
    const notes: string[] = [];
    await buildCoco({ ...buildOptions(set, out), progress: { ...silent, note: (text) => notes.push(text) } });
    expect(notes.join()).toContain('4 pictures are too few');
    const dataset = await openDataset(out);
    for (const name of ['train', 'val', 'test'] as const) {
      const split = dataset.split(name);
      expect([split.count, split.images, split.shards.length]).toEqual([8, 4, 1]);
      const read = await pairs(split);
      const said = read.map(({ imageId, words }) => `${imageId} ${words.join(' ')}`);
      expect(said.sort()).toEqual([
        '100 <S> a bus </S>',
        '100 <S> a red bus . </S>',
        '100 <S> the bus is red </S>',
        '101 <S> a `` cat \'\' </S>',
        "101 <S> a cat 's bed is n't empty ! </S>",
        '102 <S> two dogs . </S>',
        '102 <S> two dogs run . one barks . </S>',
        '103 <S> a rocket </S>',
      ]);
      for (const { imageId, jpeg, words, ids } of read) {
        expect(readFileSync(join(set.images, `COCO_${imageId}.jpg`)).equals(jpeg)).toBe(true);
        expect([...ids]).toEqual(words.map((word) => dataset.vocabulary.id(word)));
      }
      const captions = JSON.parse(readFileSync(split.captionsFile ?? '', 'utf8')) as { annotations: object[] };
      expect(captions.annotations).toContainEqual({ id: 1000, image_id: 100, caption: 'A red bus.' });
    }
    expect(readFileSync(join(out, 'word_counts.txt'), 'utf8').split('\n').slice(0, 4)).toEqual([
      '<S> 8',
      '</S> 8',
      'a 5',
      '. 4',
    ]);
    await closeRecords(dataset);
  });

  it('keeps words seen four times, as im2txt does, and says how many become <UNK>', async () => {
    const folder = temporaryFolder();
    const set = await writeCocoSet(folder, FOUR);
    const notes: string[] = [];
    const progress = { ...silent, note: (text: string) => notes.push(text) };
    await buildCoco({ ...buildOptions(set, join(folder, 'out')), minWordCount: 4, progress });
    expect(readFileSync(join(folder, 'out', 'word_counts.txt'), 'utf8')).toBe('<S> 8\n</S> 8\na 5\n. 4');
    expect(notes.join()).toMatch(/\d+ % of the training captions' words occur fewer than 4 times/);
  });

  it('divides a val file as im2txt does and spreads shuffled records over the shards', async () => {
    const folder = temporaryFolder();
    const train = await writeCocoSet(join(folder, 'train'), Array.from({ length: 5 }, (_, i) => [`train ${i}`, 'x']));
    const val = await writeCocoSet(join(folder, 'val'), Array.from({ length: 20 }, (_, i) => [`val ${i}`]));
    const text = readFileSync(val.annotations, 'utf8');
    const renumbered = JSON.parse(text.replaceAll(/"(id|image_id)":1(\d\d)([,}])/g, '"$1":5$2$3')) as object;
    writeFileSync(val.annotations, JSON.stringify(renumbered));
    const out = join(folder, 'out');
    const manifest = await buildCoco({
      ...buildOptions(train, out),
      valAnnotations: val.annotations,
      valImages: val.images,
      shards: { train: 4, val: null, test: 2 },
    });
    expect(manifest?.splits.train.shards.map(({ file, records }) => `${file} ${records}`)).toEqual([
      'train-00000-of-00004 6',
      'train-00001-of-00004 7',
      'train-00002-of-00004 7',
      'train-00003-of-00004 7',
    ]);
    const dataset = await openDataset(out);
    expect((await pairs(dataset.split('val'))).map(({ words }) => words[2])).toEqual(['17']);
    expect((await pairs(dataset.split('test'))).map(({ words }) => words[2]).sort()).toEqual(['18', '19']);
    const order = (await pairs(dataset.split('train'))).map(({ imageId }) => imageId);
    expect(order).not.toEqual([...order].sort((a, b) => a - b));
    await closeRecords(dataset);
  });

  it('goes on where it was interrupted, and gives the same bytes with any number of threads', async () => {
    const folder = temporaryFolder();
    const captions = Array.from({ length: 40 }, (_, i) => [`picture number ${i}`, `number ${i} again`]);
    const set = await writeCocoSet(folder, captions);
    const options = { ...buildOptions(set, join(folder, 'out')), shards: { train: 8, val: 2, test: 2 } };
    let written = 0;
    let writing = false;
    const interrupted = {
      ...silent,
      begin: (what: string) => {
        writing = what.startsWith('writing');
      },
      advance: (by: number) => {
        if (writing && (written += by) > 37) throw new Error('interrupted');
      },
    };
    await expect(buildCoco({ ...options, threads: 1, progress: interrupted })).rejects.toThrow('interrupted');
    const out = readdirSync(options.directory);
    expect(out.filter((name) => name.endsWith('.partial'))).toEqual([]);
    expect(out).toContain('train-00000-of-00008.index');
    expect(out).not.toContain('dataset.json');
    const before = statSync(join(options.directory, 'train-00000-of-00008'));

    const resumed = await buildCoco({ ...options, threads: 4 });
    const whole = await buildCoco({ ...options, directory: join(folder, 'whole'), threads: 2 });
    expect(resumed).toEqual(whole);
    expect(contents(options.directory)).toEqual(contents(join(folder, 'whole')));
    const after = statSync(join(options.directory, 'train-00000-of-00008'));
    expect([after.ino, after.mtimeMs]).toEqual([before.ino, before.mtimeMs]);
  });

  it('refuses a val file whose image ids are those of other pictures in the train file', async () => {
    const folder = temporaryFolder();
    const train = await writeCocoSet(join(folder, 'train'), [['a'], ['b']]);
    const val = await writeCocoSet(join(folder, 'val'), [['c'], ['d']]);
    const options = { ...buildOptions(train, join(folder, 'out')), valAnnotations: val.annotations, valImages: val.images };
    await expect(buildCoco({ ...options, split: { kind: 'reuse' } })).rejects.toMatchObject({
      code: 'data/annotations-unreadable',
      message: expect.stringContaining('image id 100') as string,
    });
  });

  it('leaves a complete folder as it is, and never builds over another', async () => {
    const folder = temporaryFolder();
    const set = await writeCocoSet(folder, FOUR);
    const options = buildOptions(set, join(folder, 'out'));
    expect(await buildCoco(options)).not.toBeNull();
    expect(await buildCoco(options)).toBeNull();
    await expect(buildCoco({ ...options, seed: 2 })).rejects.toMatchObject({ code: 'data/folder-occupied' });
  });
});

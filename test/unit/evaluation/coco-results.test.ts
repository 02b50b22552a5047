import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { register } from '@showtell/coordinator/cli/commands/evaluate.js';
import { readResults, tokenizeResults } from '@showtell/coordinator/evaluation/coco-results.js';
import { Command } from 'commander';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { captions as material, scores } from '../../parity/caption-metrics/material.js';

const folder = mkdtempSync(join(tmpdir(), 'showtell-coco-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());
let files = 0;

function file(content: unknown): string {
  const path = join(folder, `${files++}.json`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const truth = (...captions: [number | string, string][]): string =>
  file({
    images: [...new Set(captions.map(([id]) => id))].map((id) => ({ id })),
    annotations: captions.map(([image_id, caption]) => ({ image_id, caption })),
  });
const results = (...captions: [number | string, string][]): string =>
  file(captions.map(([image_id, caption]) => ({ image_id, caption })));

describe('readResults', () => {
  it('pairs captions with their references, in the order of the annotations', async () => {
    const annotations = truth([7, 'A red bus.'], [3, 'two dogs'], [7, 'a bus']);
    expect(await readResults({ annotations, results: results([3, 'Dogs!'], [7, 'a bus']) })).toEqual([
      { imageId: 7, caption: 'a bus', references: ['A red bus.', 'a bus'] },
      { imageId: 3, caption: 'Dogs!', references: ['two dogs'] },
    ]);
  });

  it('tokenises references as one stream and captions as another', () => {
    // Only before a sentence of the same stream has "A." no dot of its own.
    const one = { imageId: 1, caption: 'grade A.', references: ['grade A.', 'The dogs.'] };
    const two = { imageId: 2, caption: 'a bus', references: ['a bus'] };
    expect(tokenizeResults([one, two])).toEqual([
      {
        candidate: ['grade', 'a.'],
        references: [
          ['grade', 'a'],
          ['the', 'dogs'],
        ],
      },
      { candidate: ['a', 'bus'], references: [['a', 'bus']] },
    ]);
  });

  it('passes what the schema passes, whatever else the files hold', async () => {
    const annotations = file({
      info: 1,
      images: [{ id: 'x.jpg', width: 3 }],
      annotations: [{ image_id: 'x.jpg', caption: '', id: 5 }],
    });
    const more = file([{ image_id: 'x.jpg', caption: 'a', captions: [] }]);
    expect(await readResults({ annotations, results: more })).toEqual([
      { imageId: 'x.jpg', caption: 'a', references: [''] },
    ]);
  });

  it('scores a part when asked to', async () => {
    const annotations = truth([1, 'a'], [2, 'b']);
    const part = { annotations, results: results([2, 'b']) };
    expect(await readResults({ ...part, partial: true })).toHaveLength(1);
    await expect(readResults(part)).rejects.toMatchObject({ code: 'captions/missing-result', facts: { imageId: 1 } });
  });

  it.each([
    ['an image of no annotation', results([1, 'a'], [99, 'b']), 'captions/unknown-image', '99'],
    ['two captions for an image', results([1, 'a'], [1, 'b']), 'captions/duplicate-result', 'image 1'],
    ['a cut-off file', file('[{"image_id": 1,'), 'captions/unreadable', 'no JSON'],
    ['a caption that is a number', file([{ image_id: 1, caption: 5 }]), 'captions/unreadable', '[0].caption'],
    [
      'an image id that is no whole number',
      file([{ image_id: 1.5, caption: 'a' }]),
      'captions/unreadable',
      '[0].image_id',
    ],
    ['an empty image id', file([{ image_id: '', caption: 'a' }]), 'captions/unreadable', '[0].image_id'],
    ['a result that is nothing', file([null]), 'captions/unreadable', 'at [0]'],
    ['another format', file({ image_id: 1 }), 'captions/unreadable', 'at the top'],
    ['no captions at all', file([]), 'captions/missing-result', 'image 1'],
    ['no file', join(folder, 'absent.json'), 'file/missing', 'absent.json'],
    ['a folder for a file', folder, 'captions/unreadable', 'EISDIR'],
  ])('refuses %s, naming file and fault', async (_what, path, code, words) => {
    const attempt = readResults({ annotations: truth([1, 'a']), results: path });
    await expect(attempt).rejects.toMatchObject({ code });
    await expect(attempt).rejects.toThrow(path);
    await expect(attempt).rejects.toThrow(words);
  });

  it('refuses annotations for an image that is not listed, and an image listed twice', async () => {
    const good = results([1, 'a']);
    const stray = file({ images: [{ id: 1 }], annotations: [{ image_id: 2, caption: 'a' }] });
    await expect(readResults({ annotations: stray, results: good })).rejects.toThrow(/image 2.*not in its images/u);
    const bare = file({ images: [{ id: 1 }, { id: 2 }], annotations: [{ image_id: 2, caption: 'a' }] });
    await expect(readResults({ annotations: bare, results: good })).rejects.toMatchObject({
      code: 'captions/no-reference',
      facts: { imageId: 1, count: 1 },
    });
    // With neither caption nor references there is nothing to score, as in coco-caption.
    expect(await readResults({ annotations: bare, results: results([2, 'a']) })).toHaveLength(1);
    const twice = file({ images: [{ id: 1 }, { id: 1 }], annotations: [] });
    await expect(readResults({ annotations: twice, results: good })).rejects.toThrow(/image 1 stands twice/u);
  });
});

describe('showtell evaluate', () => {
  async function run(...args: string[]): Promise<string> {
    const written: string[] = [];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
    const program = new Command().exitOverride();
    register(program);
    await program.parseAsync(['evaluate', ...args], { from: 'user' });
    return written.join('');
  }

  it("prints coco-caption's values under its names", async () => {
    const set = material.datasets[0]!;
    const annotations = truth(
      ...set.images.flatMap(({ id, references }) => references.map((text): [string, string] => [id, text])),
    );
    const captions = results(...set.images.map(({ id, candidate }): [string, string] => [id, candidate]));
    const printed = JSON.parse(
      await run('--annotations', annotations, '--results', captions, '--no-meteor', '--json'),
    ) as Record<string, number> & { absent: unknown };
    const names = ['Bleu_1', 'Bleu_2', 'Bleu_3', 'Bleu_4', 'ROUGE_L', 'CIDEr'] as const;
    expect(Object.keys(printed)).toEqual([...names, 'absent']);
    expect(printed.absent).toEqual({ METEOR: 'left out by --no-meteor' });
    for (const name of names) expect(printed[name]).toBeCloseTo(scores.datasets[0]!.corpus[name], 9);
  });

  it('says why METEOR is absent and how to have it, and fails where it must be there', async () => {
    const files = ['--annotations', truth([1, 'a red bus']), '--results', results([1, 'a red bus'])];
    vi.stubEnv('PATH', folder);
    try {
      expect(await run(...files)).toMatch(/\n {2}METEOR: absent: No Java is on PATH.* Install it: .*(java|jre|jdk)/u);
      const printed = JSON.parse(await run(...files, '--json')) as Record<string, unknown>;
      expect(printed).not.toHaveProperty('METEOR');
      expect(printed['absent']).toEqual({ METEOR: expect.stringContaining('No Java') as string });
      await expect(run(...files, '--meteor')).rejects.toMatchObject({ code: 'meteor/no-java' });
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it("gives each image's scores, and writes them and the captions scored to files", async () => {
    const annotations = truth([1, 'a red bus'], [2, 'two dogs'], [3, 'x']);
    const [images, written] = [join(folder, 'images.json'), join(folder, 'written.json')];
    const files = ['--annotations', annotations, '--results', results([2, 'dogs'], [1, 'a red bus']), '--partial'];
    const printed = JSON.parse(await run(...files, '--no-meteor', '--json', '--per-image')) as {
      evalImgs: Record<string, number>[];
    };
    expect(printed.evalImgs.map((image) => Object.keys(image))).toEqual(
      Array(2).fill(['image_id', 'Bleu_1', 'Bleu_2', 'Bleu_3', 'Bleu_4', 'ROUGE_L', 'CIDEr']),
    );
    expect(printed.evalImgs).toMatchObject([{ image_id: 1, ROUGE_L: 1 }, { image_id: 2 }]);
    await run(...files, '--no-meteor', '--per-image', images, '--write-results', written);
    expect(JSON.parse(readFileSync(images, 'utf8'))).toEqual(printed.evalImgs);
    expect(JSON.parse(readFileSync(written, 'utf8'))).toEqual([
      { image_id: 1, caption: 'a red bus' },
      { image_id: 2, caption: 'dogs' },
    ]);
    expect(await run(...files, '--no-meteor', '--per-image')).toMatch(/\nimage_id {3}Bleu_1.*\n1 {9} 1\.0000/u);
    await expect(run(...files, '--no-meteor', '--write-results', join(folder, 'no', 'x'))).rejects.toMatchObject({
      code: 'file/unwritable',
    });
  });

  it('prints a table for people', async () => {
    const printed = await run(
      '--annotations',
      truth([1, 'a red bus']),
      '--results',
      results([1, 'a red bus']),
      '--no-meteor',
    );
    expect(printed).toMatch(/^1 image\n {2}Bleu_1 {3}1\.0000\n/u);
  });
});

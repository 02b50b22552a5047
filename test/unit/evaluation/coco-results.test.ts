import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { register } from '@showtell/coordinator/cli/commands/evaluate.js';
import { readResults } from '@showtell/coordinator/evaluation/coco-results.js';
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
      {
        candidate: ['a', 'bus'],
        references: [
          ['a', 'red', 'bus'],
          ['a', 'bus'],
        ],
      },
      { candidate: ['dogs'], references: [['two', 'dogs']] },
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
    const printed = JSON.parse(await run('--annotations', annotations, '--results', captions, '--json')) as Record<
      string,
      number
    >;
    const names = ['Bleu_1', 'Bleu_2', 'Bleu_3', 'Bleu_4', 'ROUGE_L', 'CIDEr'] as const;
    expect(Object.keys(printed)).toEqual([...names]);
    for (const name of names) expect(printed[name]).toBeCloseTo(scores.datasets[0]!.corpus[name], 9);
  });

  it('prints a table for people', async () => {
    const printed = await run('--annotations', truth([1, 'a red bus']), '--results', results([1, 'a red bus']));
    expect(printed).toMatch(/^1 image\n {2}Bleu_1 {3}1\.0000\n/u);
  });
});

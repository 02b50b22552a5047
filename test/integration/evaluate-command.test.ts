/** `showtell evaluate` as a process, on files that are wrong and into places that cannot be written. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';

const showtell = fileURLToPath(new URL('../../packages/coordinator/bin/showtell.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'showtell-evaluate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const annotations = file('annotations.json', {
  images: [{ id: 1 }, { id: 2 }, { id: 3 }],
  annotations: [1, 1, 2].map((image_id) => ({ image_id, caption: 'A red bus.' })),
});
const good = file('results.json', [
  { image_id: 1, caption: 'a red bus' },
  { image_id: 2, caption: 'two dogs' },
]);

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function evaluate(...args: string[]): Promise<Ended> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [
      showtell,
      'evaluate',
      '--no-meteor',
      '--json',
      ...args,
    ]);
    return { code: 0, stdout, stderr };
  } catch (error) {
    return error as Ended;
  }
}

/** An error says what and where, and in a second line what to do; and nothing else is printed. */
function refused(ended: Ended, code: number, text: string): void {
  expect(ended).toMatchObject({ code, stdout: '' });
  const [what = '', remedy = '', ...more] = ended.stderr.trimEnd().split('\n');
  expect(what).toContain(text);
  expect(remedy).toMatch(/→ \S/);
  expect(more).toEqual([]);
}

describe('results that', () => {
  const caption = 'a bus';
  it.concurrent.each<[string, unknown, number, string]>([
    ['have an image of no annotation', [{ image_id: 9, caption }], 65, 'Image 9 in results file'],
    [
      'have several of those',
      [9, 8].map((image_id) => ({ image_id, caption })),
      65,
      'annotations.json (one of 2 such images)',
    ],
    ['have an id as text that is a number there', [{ image_id: '1', caption }], 65, 'Image "1" in results file'],
    ['have an image without references', [{ image_id: 3, caption }], 65, 'Image 3 in results file'],
    [
      'have an image twice',
      [1, 2, 1].map((image_id) => ({ image_id, caption })),
      65,
      'more than one caption for image 1',
    ],
    ['lack an image', [{ image_id: 2, caption }], 65, 'has no caption for image 1'],
    ['are no JSON', 'image_id,caption\n1,a bus\n', 65, 'it is no JSON'],
    ['are cut off', '[{"image_id": 1, "caption": "a b', 65, 'it is no JSON'],
    ['are an empty file', '', 65, 'it is no JSON'],
    ['are an empty list', [], 65, 'has no caption for image 1'],
    ['are an object', { 1: caption }, 65, 'at the top: Invalid input: expected array'],
    ['have a caption that is none', [{ image_id: 1, caption: ['a', 'bus'] }], 65, 'at [0].caption: Invalid input'],
    ['lack a caption', [{ image_id: 1, caption }, { image_id: 2 }], 65, 'at [1].caption: Invalid input'],
    ['lack an id', [{ caption }], 65, 'at [0].image_id: Invalid input'],
  ])('%s are refused, file and fault named', async (what, content, code, text) => {
    const results = file(`${what}.json`, content);
    const ended = await evaluate('--annotations', annotations, '--results', results);
    refused(ended, code, text);
    expect(ended.stderr).toContain(results);
  });

  it.concurrent('are an empty list are refused with --partial too', async () => {
    const results = file('partial.json', []);
    refused(
      await evaluate('--annotations', annotations, '--results', results, '--partial'),
      65,
      'it holds no captions',
    );
  });

  it.concurrent('are not there, or annotations that are not, are named with exit code 66', async () => {
    const absent = join(folder, 'absent.json');
    refused(await evaluate('--annotations', annotations, '--results', absent), 66, `results file ${absent} does not`);
    refused(await evaluate('--annotations', absent, '--results', good), 66, `annotation file ${absent} does not`);
  });
});

describe('annotations that', () => {
  it.concurrent.each<[string, unknown, string]>([
    ['are results', [{ image_id: 1, caption: 'a' }], 'at the top: Invalid input: expected object'],
    ['lack their images', { annotations: [] }, 'at images: Invalid input: expected array'],
    ['have an image without an id', { images: [{}], annotations: [] }, 'at images[0].id'],
    ['have a caption for another image', { images: [], annotations: [{ image_id: 1, caption: 'a' }] }, 'image 1, which is not in its images'], // prettier-ignore
    ['are no JSON', '{', 'it is no JSON'],
  ])('%s are refused', async (what, content, text) => {
    refused(await evaluate('--annotations', file(`annotations ${what}.json`, content), '--results', good), 65, text);
  });
});

describe('files to write', () => {
  const score = (...args: string[]): Promise<Ended> =>
    evaluate('--annotations', annotations, '--results', good, ...args);
  const own = (name: string): string => {
    const path = join(folder, name);
    mkdirSync(path);
    return path;
  };

  it.concurrent('are written whole, and nothing is left beside them', async () => {
    const out = own('written');
    const ended = await score('--per-image', join(out, 'images.json'), '--write-results', join(out, 'results.json'));
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(out).sort()).toEqual(['images.json', 'results.json']);
    expect(JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))).toEqual(JSON.parse(readFileSync(good, 'utf8')));
  });

  it.concurrent.each(['--per-image', '--write-results'])('%s keeps what is there already', async (option) => {
    const out = own(`there${option}`);
    const there = join(out, 'there.json');
    writeFileSync(there, 'precious');
    refused(await score(option, there), 73, `${there} exists already`);
    refused(await score(option, out), 73, `${out} exists already`);
    expect(readFileSync(there, 'utf8')).toBe('precious');
    expect(readdirSync(out)).toEqual(['there.json']);
  });

  it.concurrent('do not overwrite the file that is scored', async () => {
    refused(await score('--write-results', good), 73, `${good} exists already`);
    expect(JSON.parse(readFileSync(good, 'utf8'))).toHaveLength(2);
  });

  it.concurrent('cannot be in a folder that is absent, or a file', async () => {
    const out = own('folders');
    refused(await score('--per-image', join(out, 'no', 'x.json')), 73, 'its folder does not exist');
    refused(await score('--write-results', join(good, 'x.json')), 73, 'what should be its folder is a file');
    expect(readdirSync(out)).toEqual([]);
  });

  it.skipIf(process.getuid?.() === 0)('cannot be in a folder without permission', async () => {
    const out = own('locked');
    chmodSync(out, 0o500);
    refused(await score('--per-image', join(out, 'x.json')), 73, 'its folder may not be written in');
    chmodSync(out, 0o700);
  });

  it.concurrent('are neither there when one of them cannot be, nor when the input is wrong', async () => {
    const out = own('neither');
    const images = join(out, 'images.json');
    refused(await score('--per-image', images, '--write-results', join(out, 'no', 'x.json')), 73, 'cannot be written');
    refused(await score('--per-image', images, '--write-results', join(out, '.', 'images.json')), 64, 'both name');
    const bad = file('bad.json', '[');
    const ended = await evaluate('--annotations', annotations, '--results', bad, '--per-image', images);
    refused(ended, 65, 'it is no JSON');
    expect(readdirSync(out)).toEqual([]);
  });
});

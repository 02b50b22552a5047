/** What `showtell evaluate` prints and writes against coco-caption's official tools on the same files. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { captionMetricsPython } from '../../support/caption-metrics-python.js';
import { captionSet } from '../../support/caption-set.js';
import { runPython } from '../../support/parity-python.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { hardSet } from './hard-set.js';

const python = await captionMetricsPython();
const official = fileURLToPath(new URL('./official.py', import.meta.url));
const showtell = fileURLToPath(new URL('../../../packages/coordinator/bin/showtell.js', import.meta.url));

type Scores = Record<string, number>;

interface Picture {
  readonly id: number;
  readonly references: readonly string[];
  readonly candidate: string;
}

function expectEqual(ours: Scores, theirs: Scores, what: string): void {
  expect(Object.keys(ours).sort(), what).toEqual(Object.keys(theirs).sort());
  for (const [name, value] of Object.entries(theirs))
    expect(Math.abs((ours[name] ?? NaN) - value), `${what} ${name}: ${ours[name]} for ${value}`).toBeLessThanOrEqual(
      1e-12 + 1e-9 * Math.abs(value),
    );
}

it.skipIf(python === null).each([
  ['an ordinary set', captionSet(300, 5, 7)],
  ['one of unicode, empty, long, repeated and doubled captions', hardSet(250, 11)],
] as [string, Picture[]][])(
  'pycocoevalcap scores the written results of %s the same, METEOR included (skipped without Java or pip)',
  (_name, pictures) => {
    const folder = temporaryFolder();
    const [annotations, results, written, images] = ['annotations', 'results', 'written', 'images'].map((name) =>
      join(folder, `${name}.json`),
    ) as [string, string, string, string];
    const captions = pictures.flatMap(({ id, references }) => references.map((caption) => ({ image_id: id, caption })));
    writeFileSync(
      annotations,
      JSON.stringify({
        info: {},
        licenses: [],
        type: 'captions',
        images: pictures.map(({ id }) => ({ id })),
        annotations: captions.map((caption, id) => ({ id, ...caption })),
      }),
    );
    writeFileSync(results, JSON.stringify(pictures.map(({ id, candidate }) => ({ image_id: id, caption: candidate }))));
    const files = ['--annotations', annotations, '--results', results, '--write-results', written];
    const options = ['--meteor', '--json', '--per-image', images];
    const printed = execFileSync(process.execPath, [showtell, 'evaluate', ...files, ...options], { encoding: 'utf8' });
    const theirs = JSON.parse(runPython(python as string, official, annotations, written)) as {
      eval: Scores;
      evalImgs: Scores[];
    };
    expectEqual(JSON.parse(printed) as Scores, theirs.eval, 'corpus');
    const ours = JSON.parse(readFileSync(images, 'utf8')) as Scores[];
    expect(ours).toHaveLength(pictures.length);
    theirs.evalImgs.forEach((image, i) => expectEqual(ours[i] ?? {}, image, `image ${image['image_id']}`));
  },
  240_000,
);

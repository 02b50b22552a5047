import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildCoco } from '@showtell/coordinator/data/build-coco.js';
import { verifyFolder } from '@showtell/coordinator/data/verify-folder.js';
import { silent } from '@showtell/coordinator/data/progress.js';
import { openDataset } from '@showtell/shared/data/dataset.js';
import { buildOptions } from '../../support/coco-set.js';
import { PHOTOGRAPHS, writePhotographs } from '../../support/photographs.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

it('real photographs go through build-coco (skipped where scikit-image’s wheel cannot be fetched)', async ({ skip }) => {
  const folder = temporaryFolder();
  const set = await writePhotographs(folder);
  if (set === null) return skip('python3 -m pip download did not reach its registry');
  const out = join(folder, 'out');
  await buildCoco(buildOptions(set, out));
  const dataset = await openDataset(out);
  expect(dataset.split('train').count).toBe(Object.keys(PHOTOGRAPHS).length);
  expect(dataset.vocabulary.id('astronaut')).toBeLessThan(dataset.vocabulary.unkId);
  expect((await verifyFolder(out, true, silent)).faults).toEqual([]);
}, 180_000);

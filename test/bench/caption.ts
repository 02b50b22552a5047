import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { Captioner } from '@showtell/worker/caption/captioner.js';
import { captionPictures } from '@showtell/worker/caption/caption-pictures.js';
import { findPictures } from '@showtell/worker/caption/find-pictures.js';
import { loadCheckpoint } from '@showtell/worker/caption/load-checkpoint.js';
import { PictureThreads } from '@showtell/worker/caption/picture-threads.js';
import { writeCaptionCheckpoint } from '../support/caption-checkpoint.js';
import { scene } from '../support/pictures.js';
import type { BenchFigure } from './figure.js';

const pictures = 48;

/** `showtell caption` on JPEGs of 640 × 480 with im2txt's model (random values), beam 3, two threads; loading left out. */
export async function* benchCaption(): AsyncGenerator<BenchFigure> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-bench-'));
  try {
    const { run } = await writeCaptionCheckpoint(join(folder, 'run'), { name: 'bench', engine: { threads: 2 } });
    for (let i = 0; i < pictures; i++) {
      const jpeg = scene(i % 12, { width: 640, height: 480 }).jpeg({ quality: 90 });
      await jpeg.toFile(join(folder, `${String(i).padStart(2, '0')}.jpg`));
    }
    sharp.cache(false);
    const model = await loadCheckpoint(join(run, 'checkpoints', '00000001'), null);
    await using captioner = await Captioner.open(model);
    const rules = { maxMegapixels: 50, setting: '' };
    await using threads = await PictureThreads.open(model.job, rules, null);
    const once = async (): Promise<number> => {
      const begun = performance.now();
      const sources = findPictures([folder], { recursive: false, maxBytes: 1e8, timeoutMs: 1000 });
      for await (const outcome of captionPictures(sources, { captioner, threads, beam: 3, upright: false }))
        if ('error' in outcome) throw outcome.error;
      return pictures / ((performance.now() - begun) / 1000);
    };
    await once();
    const name = 'caption 640×480 JPEGs with im2txt’s model, beam 3, 2 threads';
    const command = 'npm run bench -- --only caption';
    yield { name, ours: await once(), peer: null, ratio: null, target: null, unit: 'images/s', command };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

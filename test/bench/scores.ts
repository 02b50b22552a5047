import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readResults } from '@showtell/coordinator/evaluation/coco-results.js';
import { captionScores } from '@showtell/coordinator/evaluation/scores/caption-scores.js';
import { captionMetricsPython } from '../support/caption-metrics-python.js';
import { captionSet } from '../support/caption-set.js';
import { runPython } from '../support/parity-python.js';
import type { BenchFigure } from './figure.js';

const pictures = 5000;
const references = 5;

/**
 * BLEU, ROUGE-L and CIDEr of 5,000 pictures with five references each, tokenising included; the peer is pycocoevalcap's
 * COCOEvalCap without METEOR and SPICE. Ours includes reading the files, the peer's does not; the first call counts, as in
 * a fresh process.
 */
export async function* benchScores(): AsyncGenerator<BenchFigure> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-bench-'));
  try {
    const set = captionSet(pictures, references);
    const [annotations, results] = [join(folder, 'annotations.json'), join(folder, 'results.json')];
    const captions = set.flatMap((picture) => picture.references.map((caption) => ({ image_id: picture.id, caption })));
    const truth = {
      info: {},
      licenses: [],
      type: 'captions',
      images: set.map(({ id }) => ({ id })),
      annotations: captions.map((caption, id) => ({ id, ...caption })),
    };
    writeFileSync(annotations, JSON.stringify(truth));
    writeFileSync(results, JSON.stringify(set.map(({ id, candidate }) => ({ image_id: id, caption: candidate }))));

    const start = performance.now();
    captionScores(await readResults({ annotations, results }));
    const ours = (performance.now() - start) / 1000;
    const python = await captionMetricsPython();
    const script = fileURLToPath(new URL('../parity/caption-metrics/official.py', import.meta.url));
    const peer =
      python === null
        ? null
        : (JSON.parse(runPython(python, script, annotations, results, '--seconds')) as { seconds: number }).seconds;
    yield {
      name: 'BLEU, ROUGE-L, CIDEr of 5,000 pictures (peer: pycocoevalcap)',
      ours,
      peer,
      ratio: peer === null ? null : ours / peer,
      target: 0.1,
      unit: 's',
      command: 'npm run bench -- --only scores',
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

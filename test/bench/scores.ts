import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { captionMetricsPython } from '../support/caption-metrics-python.js';
import { captionSet } from '../support/caption-set.js';
import { runPython } from '../support/parity-python.js';
import type { BenchFigure } from './figure.js';
import { median } from './median.js';

const pictures = 5000;
const references = 5;
/** Runs of each side, taking turns, each in a fresh process. */
const rounds = 3;

const showtell = fileURLToPath(new URL('../../packages/coordinator/bin/showtell.js', import.meta.url));
const worker = fileURLToPath(new URL('./scores-worker.mjs', import.meta.url));
const official = fileURLToPath(new URL('../parity/caption-metrics/official.py', import.meta.url));

/** Seconds of one process. */
interface Seconds {
  /** From the captions in memory to their scores, tokenising included: what COCOEvalCap does. */
  readonly scoring: number;
  /** The same with reading, parsing and checking the two files before. */
  readonly fromFiles: number;
  /** The whole process: start, loading of its own code, and the scores printed. */
  readonly process: number;
}

/**
 * BLEU, ROUGE-L and CIDEr of 5,000 pictures with five references each, in fresh processes; the peer is pycocoevalcap's
 * COCOEvalCap without METEOR and SPICE, whose tokeniser is a Java program that it starts twice.
 */
export async function* benchScores(): AsyncGenerator<BenchFigure> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-bench-'));
  try {
    const files = writeCaptions(folder);
    const python = await captionMetricsPython();
    const ours: Seconds[] = [];
    const peers: Seconds[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(timeOurs(files));
      if (python !== null) peers.push(timePeer(python, files));
    }
    yield figure('from captions in memory to scores', 0.1, ours, peers, ({ scoring }) => scoring);
    yield figure('from files to scores', null, ours, peers, ({ fromFiles }) => fromFiles);
    yield figure('whole process', null, ours, peers, (seconds) => seconds.process);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeCaptions(folder: string): [annotations: string, results: string] {
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
  return [annotations, results];
}

function timeOurs([annotations, results]: readonly [string, string]): Seconds {
  const printed = execFileSync(process.execPath, [worker, annotations, results], { encoding: 'utf8' });
  const { loading, scoring } = JSON.parse(printed) as { loading: number; scoring: number };
  const begin = performance.now();
  const files = ['--annotations', annotations, '--results', results];
  execFileSync(process.execPath, [showtell, 'evaluate', ...files, '--no-meteor', '--json'], { stdio: 'ignore' });
  return { scoring, fromFiles: loading + scoring, process: (performance.now() - begin) / 1000 };
}

function timePeer(python: string, [annotations, results]: readonly [string, string]): Seconds {
  const begin = performance.now();
  const printed = JSON.parse(runPython(python, official, annotations, results, '--seconds')) as {
    seconds: { loading: number; scoring: number };
  };
  const { loading, scoring } = printed.seconds;
  return { scoring, fromFiles: loading + scoring, process: (performance.now() - begin) / 1000 };
}

function figure(
  what: string,
  target: number | null,
  ours: readonly Seconds[],
  peers: readonly Seconds[],
  of: (seconds: Seconds) => number,
): BenchFigure {
  const own = median(ours.map(of));
  const peer = peers.length === 0 ? null : median(peers.map(of));
  return {
    name: `BLEU, ROUGE-L, CIDEr of 5,000 pictures, ${what} (peer: pycocoevalcap)`,
    ours: own,
    peer,
    ratio: peer === null ? null : own / peer,
    target: peer === null ? null : target,
    unit: 's',
    command: 'npm run bench -- --only scores',
  };
}

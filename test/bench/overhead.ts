import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchFigure } from './figure.js';
import { median } from './median.js';

const showtell = fileURLToPath(new URL('../../packages/coordinator/bin/showtell.js', import.meta.url));

/** A model so small that a step is queue, gRPC and barrier. */
const tiny = [
  'model.encoder.depthMultiplier=0.1',
  'model.encoder.imageSize=75',
  'model.decoder.embedding=8',
  'model.decoder.units=8',
  'model.decoder.vocabulary=64',
  'batch.examples=4',
  'batch.units=2',
  'phases.decoderOnly.steps=400',
  'phases.joint.steps=0',
  'evaluation.everySteps=400',
  'evaluation.perplexityExamples=4',
  'evaluation.captionImages=0',
];
/** Steps left out at the start: graphs are recorded and features computed there. */
const warmUp = 150;

interface StepLine {
  readonly type: string;
  readonly step: number;
  readonly seconds: number;
  readonly parts: { readonly compute: number; readonly sum: number; readonly update: number };
}

function run(args: readonly string[]): string {
  const result = spawnSync(process.execPath, [showtell, ...args], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (result.status !== 0)
    throw new Error(`showtell ${args[0] ?? ''} ended with ${result.status ?? -1}: ${result.stderr}`);
  return result.stdout;
}

/** What a step costs besides computing and moving bytes: two workers, a tiny model, the whole cluster. */
export async function* benchOverhead(): AsyncGenerator<BenchFigure> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-bench-'));
  try {
    const data = join(folder, 'data');
    run(['data', 'synth', '--out', data, '--seed', '1', '--train', '40', '--size', '80']);
    const settings = tiny.flatMap((setting) => ['--set', setting]);
    const args = [
      'train',
      '--preset',
      'demo',
      '--run',
      join(folder, 'run'),
      '--data',
      data,
      '--workers',
      '2',
      '--json',
    ];
    const steps = run([...args, ...settings])
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as StepLine)
      .filter((line) => line.type === 'step' && line.step > warmUp);
    const overhead = steps.map(({ seconds, parts }) => (seconds - parts.compute - parts.sum - parts.update) * 1000);
    yield* [
      {
        name: 'overhead of a step besides compute and bytes, 2 workers, median',
        ours: median(overhead),
        peer: null,
        ratio: null,
        target: 5,
        unit: 'ms',
        command: 'npm run bench -- --only overhead',
      },
      {
        name: 'a whole step of the same tiny model, median',
        ours: median(steps.map(({ seconds }) => seconds * 1000)),
        peer: null,
        ratio: null,
        target: null,
        unit: 'ms',
        command: 'npm run bench -- --only overhead',
      },
    ] satisfies BenchFigure[];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

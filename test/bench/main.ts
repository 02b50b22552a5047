import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { benchCaption } from './caption.js';
import { benchCheckpoint } from './checkpoint.js';
import { benchDecode } from './decode.js';
import { benchEngines } from './engines.js';
import { benchEncoders } from './encoders.js';
import { benchExchange } from './exchange.js';
import type { BenchFigure } from './figure.js';
import { benchModes } from './modes.js';
import { benchObservability } from './observability.js';
import { benchOverhead } from './overhead.js';
import { benchRecovery } from './recovery.js';
import { benchScores } from './scores.js';
import { benchStep } from './step.js';

/**
 * Every figure of docs/benchmarks.md, each beside its peer's of the same run, printed as it comes:
 * npm run bench -- [--json] [--only NAME]
 */
const suites: Readonly<Record<string, () => AsyncGenerator<BenchFigure>>> = {
  step: benchStep,
  exchange: benchExchange,
  checkpoint: benchCheckpoint,
  overhead: benchOverhead,
  observability: benchObservability,
  decode: benchDecode,
  caption: benchCaption,
  encoders: benchEncoders,
  engines: benchEngines,
  scores: benchScores,
  recovery: benchRecovery,
  modes: benchModes,
};

const { values } = parseArgs({ options: { json: { type: 'boolean' }, only: { type: 'string' } } });
const chosen = Object.entries(suites).filter(([name]) => values.only === undefined || values.only === name);
if (chosen.length === 0) {
  process.stderr.write(`--only takes one of ${Object.keys(suites).join(', ')}\n`);
  process.exit(64);
}

function line(figure: BenchFigure): string {
  const { name, ours, peer, ratio, target, unit } = figure;
  const value = ratio ?? ours;
  const met = target === null ? '' : value <= target ? '  met' : '  MISSED';
  const against = peer === null ? '' : `  peer ${round(peer)} ${unit}  ratio ${(ratio ?? NaN).toFixed(2)}`;
  const limit = target === null ? '' : `  (at most ${target})`;
  return `${name.padEnd(88)} ${round(ours)} ${unit}${against}${limit}${met}`;
}

/** Tenths, and hundredths where tenths would be few. */
function round(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
}

const taken = {
  date: new Date().toISOString().slice(0, 10),
  processor: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${cpus().length} cores`,
  node: process.version,
};
if (values.json !== true) process.stdout.write(`${Object.values(taken).join(', ')}\n`);
for (const [, suite] of chosen)
  for await (const figure of suite())
    process.stdout.write(`${values.json === true ? JSON.stringify({ ...figure, ...taken }) : line(figure)}\n`);

import { parseArgs } from 'node:util';
import { benchCaption } from './caption.js';
import { benchDecode } from './decode.js';
import { benchEncoders } from './encoders.js';
import { benchExchange } from './exchange.js';
import type { BenchFigure } from './figure.js';
import { benchOverhead } from './overhead.js';
import { benchScores } from './scores.js';
import { benchStep } from './step.js';

/** Every figure of docs/benchmarks.md, each beside its peer's of the same run: npm run bench -- [--json] [--only NAME] */
const suites = {
  step: benchStep,
  exchange: benchExchange,
  overhead: benchOverhead,
  decode: benchDecode,
  caption: benchCaption,
  encoders: benchEncoders,
  scores: benchScores,
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
  const against = peer === null ? '' : `  peer ${peer.toFixed(1)} ${unit}  ratio ${(ratio ?? NaN).toFixed(2)}`;
  const limit = target === null ? '' : `  (at most ${target})`;
  return `${name.padEnd(72)} ${ours.toFixed(1)} ${unit}${against}${limit}${met}`;
}

const figures: BenchFigure[] = [];
for (const [, suite] of chosen)
  for (const figure of await suite()) {
    figures.push(figure);
    if (values.json !== true) process.stdout.write(`${line(figure)}\n`);
  }
if (values.json === true) process.stdout.write(`${JSON.stringify(figures)}\n`);

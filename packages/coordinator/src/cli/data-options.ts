import { availableParallelism } from 'node:os';
import { InvalidArgumentError, Option } from 'commander';
import { memorySizes, parseMemorySize } from '@showtell/shared/service/memory-size.js';
import type { SplitRule } from '../data/split-pictures.js';

/** An option's value as an integer of at least `low`, and at most `high` where there is one. */
export function integerFrom(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= low && value <= high) return value;
    const end = high === Number.MAX_SAFE_INTEGER ? '' : ` to ${high}`;
    throw new InvalidArgumentError(`It must be an integer from ${low}${end}.`);
  };
}

/** An option's value as a port; 0 takes a free one. */
export const portFrom = integerFrom(0, 65_535);

export function memorySizeFrom(text: string): number {
  const bytes = parseMemorySize(text);
  if (bytes === null) throw new InvalidArgumentError(`It must be a size ${memorySizes}.`);
  return bytes;
}

export function threadsOption(): Option {
  return new Option('--threads <n>', 'pictures worked on at once')
    .argParser(integerFrom(1))
    .default(availableParallelism());
}

export function shardsOption(split: 'train' | 'val' | 'test', usual: number): Option {
  const text = `TFRecord files of ${split} (default: ${usual}, but no more than one for every 256 records)`;
  return new Option(`--${split}-shards <n>`, text).argParser(integerFrom(1));
}

export function splitOption(): Option {
  const text = 'auto, reuse, or shares of train, val and test (see below)';
  return new Option('--split <rule>', text).argParser(parseSplit).default({ kind: 'auto' }, 'auto');
}

/** "auto", "reuse", or three shares that add up to 1. */
function parseSplit(text: string): SplitRule {
  if (text === 'auto' || text === 'reuse') return { kind: text };
  const shares = text.split(',').map(Number);
  const [train = NaN, val = NaN, test = NaN] = shares;
  const sum = train + val + test;
  if (shares.length !== 3 || shares.some((share) => !(share >= 0)) || Math.abs(sum - 1) > 1e-6) {
    throw new InvalidArgumentError('It must be auto, reuse, or shares of train, val and test such as 0.8,0.1,0.1.');
  }
  return { kind: 'shares', train, val, test };
}

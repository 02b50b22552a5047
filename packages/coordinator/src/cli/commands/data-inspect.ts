import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { readManifest } from '@showtell/shared/data/dataset.js';
import { SPLIT_NAMES } from '@showtell/shared/data/manifest.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { inspectFile, type InspectedRecord } from '../../data/inspect.js';
import { integerFrom } from '../data-options.js';
import { describe, leftOut, summary } from '../data-report.js';

/** `showtell data inspect`. */
export function register(parent: Command): void {
  parent
    .command('inspect')
    .description('show what a data folder or a TFRecord file holds')
    .argument('<path>', 'data folder, or a file such as train-00000-of-00256')
    .option('--records <n>', 'records to show', integerFrom(0), 3)
    .option('--json', 'print the result as one JSON line')
    .addHelpText(
      'after',
      '\nExamples:\n  showtell data inspect data/scenes\n  showtell data inspect data/scenes/val-00000-of-00002 --records 10',
    )
    .action(async (path: string, flags: { records: number; json?: true }) => {
      const stats = await stat(path).catch((cause: unknown) => {
        throw new ShowtellError('file/missing', { file: path, what: 'The data' }, { cause });
      });
      if (!stats.isDirectory()) {
        const { records, shown } = await inspectFile(path, flags.records);
        if (flags.json === true) print(JSON.stringify({ file: path, bytes: stats.size, records, shown }));
        else print(`${path}: ${records} records, ${stats.size} bytes`, ...shown.map(describeRecord));
        return;
      }
      const manifest = await readManifest(path);
      const first = SPLIT_NAMES.flatMap((name) => manifest.splits[name].shards)[0];
      const shown = first === undefined ? [] : (await inspectFile(join(path, first.file), flags.records)).shown;
      if (flags.json === true) {
        print(JSON.stringify({ ...summary(path, manifest), source: manifest.source, shown }));
        return;
      }
      print(`${path}: ${describe(manifest)}`, ...leftOut(manifest));
      if (shown.length > 0) print(`${first?.file ?? ''}:`, ...shown.map(describeRecord));
    });
}

function print(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

function describeRecord(record: InspectedRecord): string {
  const head = `  ${record.record} at byte ${record.offset}, ${record.length} bytes, CRC ${record.crc}`;
  if (record.fault !== undefined) return `${head}\n    ${record.fault}`;
  return `${head}\n    image ${record.imageId ?? ''}, ${record.picture ?? ''}\n    ${record.words?.join(' ') ?? ''}`;
}

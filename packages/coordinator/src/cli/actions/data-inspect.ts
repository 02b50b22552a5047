import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readManifest } from '@showtell/shared/data/dataset.js';
import { SPLIT_NAMES } from '@showtell/shared/data/manifest.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { inspectFile, type InspectedRecord } from '../../data/inspect.js';
import { describe, leftOut, summary } from '../data-report.js';

/** `showtell data inspect`. @param most records to show */
export async function inspect(path: string, most: number, json: boolean): Promise<void> {
  const stats = await stat(path).catch((cause: unknown) => {
    throw new ShowtellError('file/missing', { file: path, what: 'The data' }, { cause });
  });
  if (!stats.isDirectory()) {
    const { records, shown } = await inspectFile(path, most);
    if (json) print(JSON.stringify({ file: path, bytes: stats.size, records, shown }));
    else print(`${path}: ${records} records, ${stats.size} bytes`, ...shown.map(describeRecord));
    return;
  }
  const manifest = await readManifest(path);
  const first = SPLIT_NAMES.flatMap((name) => manifest.splits[name].shards)[0];
  const shown = first === undefined ? [] : (await inspectFile(join(path, first.file), most)).shown;
  if (json) {
    print(JSON.stringify({ ...summary(path, manifest), source: manifest.source, shown }));
    return;
  }
  print(`${path}: ${describe(manifest)}`, ...leftOut(manifest));
  if (shown.length > 0) print(`${first?.file ?? ''}:`, ...shown.map(describeRecord));
}

function print(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

function describeRecord(record: InspectedRecord): string {
  const head = `  ${record.record} at byte ${record.offset}, ${record.length} bytes, CRC ${record.crc}`;
  if (record.fault !== undefined) return `${head}\n    ${record.fault}`;
  return `${head}\n    image ${record.imageId ?? ''}, ${record.picture ?? ''}\n    ${record.words?.join(' ') ?? ''}`;
}

import { closeRecords, openDataset, readRecord } from '@showtell/shared/data/dataset.js';
import { SPLIT_NAMES, type SplitName } from '@showtell/shared/data/manifest.js';
import { decodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { decodeFault } from './picture-check.js';
import type { Progress } from './progress.js';

interface RecordFault {
  readonly split: SplitName;
  readonly file: string;
  readonly shard: number;
  readonly offset: number;
  readonly detail: string;
}

/**
 * Reads every record in use and checks it against the index; with `decode` the pair is parsed and each picture decoded
 * once. Faults are gathered, so that one run names them all.
 * @throws ShowtellError as `openDataset` does, when the folder as a whole can't be used
 */
export async function verifyFolder(
  directory: string,
  decode: boolean,
  progress: Progress,
): Promise<{ records: number; faults: RecordFault[] }> {
  const dataset = await openDataset(directory);
  const faults: RecordFault[] = [];
  const decoded = new Set<number>();
  let records = 0;
  for (const name of SPLIT_NAMES) {
    const split = dataset.split(name);
    progress.begin(`verifying ${name}`, split.count);
    for (let i = 0; i < split.count; i++) {
      const ref = split.record(i);
      const file = split.shards[ref.shard]?.file ?? '';
      try {
        const bytes = await readRecord(split, ref);
        if (decode) {
          const { imageId, jpeg } = decodeCaptionExample(bytes);
          const fault = decoded.has(imageId) ? null : await decodeFault(jpeg);
          decoded.add(imageId);
          if (fault !== null) faults.push({ split: name, file, ...ref, detail: `image ${imageId}: ${fault}` });
        }
      } catch (error) {
        if (!(error instanceof ShowtellError)) throw error;
        faults.push({ split: name, file, ...ref, detail: error.message });
      }
      records++;
      progress.advance(1);
    }
    progress.end();
  }
  await closeRecords(dataset);
  return { records, faults };
}

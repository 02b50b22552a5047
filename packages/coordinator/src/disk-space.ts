import { statfs } from 'node:fs/promises';
import { lookEvery } from './look-every.js';
import type { CoordinatorMetrics } from './metrics.js';

/** As often as Prometheus usually asks. */
const lookMs = 15_000;

/** Looks now and then, beside the training, how much room is left where a folder lies. */
export function watchDisk(
  folder: string,
  { diskFree, diskSize }: Pick<CoordinatorMetrics['series'], 'diskFree' | 'diskSize'>,
): Disposable {
  const look = async (): Promise<() => void> => {
    const space = await statfs(folder).catch(() => null);
    // Where the system cannot tell, the series stay at 0 of 0: writing itself says what is wrong.
    if (space === null) return () => undefined;
    const { bavail, blocks, bsize } = space;
    return () => {
      diskFree.set(bavail * bsize);
      diskSize.set(blocks * bsize);
    };
  };
  return lookEvery(lookMs, look, () => {
    // A coordinator that stays after its run's end looks no more: others may fill or clear the disk.
    diskFree.remove();
    diskSize.remove();
  });
}

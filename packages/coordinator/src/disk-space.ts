import { statfs } from 'node:fs/promises';
import type { CoordinatorMetrics } from './metrics.js';

/** As often as Prometheus usually asks. */
const lookMs = 15_000;

/** Looks now and then, beside the training, how much room is left where a folder lies. */
export function watchDisk(
  folder: string,
  { diskFree, diskSize }: Pick<CoordinatorMetrics['series'], 'diskFree' | 'diskSize'>,
): Disposable {
  const look = async (): Promise<void> => {
    try {
      const { bavail, blocks, bsize } = await statfs(folder);
      diskFree.set(bavail * bsize);
      diskSize.set(blocks * bsize);
    } catch {
      // Where the system cannot tell, the series stay at 0 of 0: writing itself says what is wrong.
    }
  };
  void look();
  const timer = setInterval(() => void look(), lookMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

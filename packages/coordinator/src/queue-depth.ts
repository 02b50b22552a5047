import { lanes, type UnitQueuePublisher } from '@showtell/shared/bus/unit-queue.js';
import { lookEvery } from './look-every.js';
import type { CoordinatorMetrics } from './metrics.js';

/** More often than Prometheus usually asks: a lane may fill and empty within a step. */
const lookMs = 5_000;

/** Asks the broker now and then, not when Prometheus does, how many units the queue holds. */
export function watchQueue(
  queue: Pick<UnitQueuePublisher, 'depth'>,
  { queueUnits }: Pick<CoordinatorMetrics['series'], 'queueUnits'>,
): Disposable {
  const look = async (): Promise<() => void> => {
    // The broker may be away, which others tell of: an old depth would be a wrong one.
    const depth = await queue.depth().catch(() => null);
    if (depth === null) return () => queueUnits.reset();
    return () => {
      for (const lane of lanes) {
        queueUnits.set({ lane, state: 'pending' }, depth[lane].pending);
        queueUnits.set({ lane, state: 'unacknowledged' }, depth[lane].unacknowledged);
      }
    };
  };
  return lookEvery(lookMs, look, () => queueUnits.reset());
}

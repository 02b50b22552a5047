import { Control } from './control.js';
import { coordinate, type CoordinatorOptions } from './coordinator.js';
import { isShardLost } from './parameter-server/remote-shard.js';
import type { RunEvent } from './run.js';

/** So many losses of a shard in a row, without a step between them, end the run. */
const lossesInARow = 4;

/**
 * Coordinates a run, and once more from its last checkpoint whenever a shard of the parameter server is lost, as a new
 * generation: the same steps are taken again, to the same bits.
 *
 * @throws what ends the run; ShowtellError `parameters/shard-lost` when a shard does not come back, `run/superseded`
 */
export async function* coordinateThroughLosses(
  options: CoordinatorOptions,
  control: Control,
): AsyncGenerator<RunEvent> {
  if (options.shards == null) {
    yield* coordinate(options, control);
    return;
  }
  const { folder, log } = options;
  let { generation } = options;
  let isPaused = false;
  let switchOrdered = false;
  for (let losses = 1; ; losses++) {
    const attempt = new Control();
    if (isPaused) attempt.pause();
    if (switchOrdered) attempt.orderSwitch();
    const forget = control.onInterruption((why) => (why.type === 'stop' ? attempt.stop() : attempt.fail(why.error)));
    try {
      for await (const event of coordinate({ ...options, generation }, attempt)) {
        if (event.type === 'step') losses = 0;
        yield event;
      }
      return;
    } catch (error) {
      if (!isShardLost(error) || losses >= lossesInARow || control.interruption !== null) {
        control.fail(error as Error);
        throw error;
      }
      // Not if another coordinator has taken the shards.
      generation.assertCurrent();
      log.warn('going on from the last checkpoint', { error });
    } finally {
      forget();
    }
    isPaused = attempt.isPaused;
    switchOrdered = attempt.takeSwitchOrder();
    generation = folder.claimGeneration();
  }
}

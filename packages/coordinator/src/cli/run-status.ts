import type { RunFolder } from '../run-folder.js';
import type { RunStatus } from '../status.js';

/**
 * What a run is doing, or where it stands. Of both ways only what one takes is loaded: this is asked again and again, by
 * scripts too.
 *
 * @throws ShowtellError `run/missing`, `bus/unreachable`, `run/not-answering`
 */
export async function statusOf(folder: RunFolder): Promise<RunStatus> {
  const identity = folder.identity();
  const coordinator = folder.liveCoordinator();
  if (coordinator === undefined) {
    const { statusOfStopped } = await import('../stopped-status.js');
    return statusOfStopped(folder);
  }
  const { sendCommand } = await import('../commands.js');
  return sendCommand(coordinator, identity, 'KIND_STATUS');
}

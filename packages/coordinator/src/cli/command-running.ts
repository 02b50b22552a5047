import { ShowtellError } from '@showtell/shared/errors.js';
import type { CommandRequest_Kind } from '@showtell/shared/generated/showtell/v1/control.js';
import { sendCommand } from '../commands.js';
import { RunFolder } from '../run-folder.js';
import type { RunStatus } from '../status.js';

/**
 * Sends a command to the coordinator at work on a run's folder.
 *
 * @throws ShowtellError `run/missing`, `run/not-running`, `run/not-answering`
 */
export async function commandRunning(run: string, kind: keyof typeof CommandRequest_Kind): Promise<RunStatus> {
  const folder = new RunFolder(run);
  const identity = folder.identity();
  const coordinator = folder.liveCoordinator();
  if (coordinator === undefined) throw new ShowtellError('run/not-running', { run: folder.path });
  return sendCommand(coordinator, identity, kind);
}

import type { RunFolder } from '../run-folder.js';
import type { RunStatus } from '../status.js';
import { statusOfStopped } from '../stopped-status.js';
import type { RunNow } from './page/payload.js';

/** What a coordinator's status tells the page. */
export function nowOf(status: RunStatus): RunNow {
  const { state, step, totalSteps, phase, loss, learningRate, imagesPerSecond, etaSeconds, workers } = status;
  return { state, step, totalSteps, phase, loss, learningRate, imagesPerSecond, etaSeconds, workers };
}

/** What stands in the files of a run that nobody trains is looked up no oftener. */
const restMs = 2_000;

/** What a run that another process trains, or none, is doing: asked of its coordinator if there is one on this host. */
export function nowOfFolder(folder: RunFolder): () => Promise<RunNow> {
  let stopped: { readonly at: number; readonly now: RunNow } | null = null;
  return async () => {
    const coordinator = folder.liveCoordinator();
    if (coordinator !== undefined)
      try {
        const answer = await fetch(`${coordinator.http}/status`, { signal: AbortSignal.timeout(1_000) });
        if (answer.ok) return nowOf((await answer.json()) as RunStatus);
      } catch {
        // It has just ended, or is too busy to answer: its files tell enough.
      }
    if (stopped === null || performance.now() - stopped.at > restMs)
      stopped = { at: performance.now(), now: nowOf(statusOfStopped(folder)) };
    return stopped.now;
  };
}

import { Control } from '../control.js';
import type { RunEvent, RunOutcome } from '../run.js';
import { trainSession, type SessionOptions } from './session.js';
import type { Presenter } from './present.js';

/** Exit codes of a command that trains. */
export const exitCodes: Readonly<Record<RunOutcome | 'stopped', number>> = {
  complete: 0,
  'rolled-back': 0,
  'guard-unmet': 10,
  stopped: 11,
};

/** How a run ended in this process. */
export interface RunEnd {
  /** The process's exit code. */
  readonly code: number;
  readonly last: Extract<RunEvent, { type: 'finished' | 'stopped' }> | null;
  /** A signal asked for it. */
  readonly bySignal: boolean;
}

/**
 * Trains until the job is complete or somebody stops it: the first Ctrl-C or SIGTERM saves and stops, the second ends
 * the process at once (children go with it).
 */
export async function runToEnd(options: SessionOptions, presenter: Presenter): Promise<RunEnd> {
  const control = new Control();
  let asked = 0;
  const onSignal = (): void => {
    asked++;
    if (asked > 1) process.exit(130);
    presenter.note('stopping: saving a checkpoint (once more to end at once) …');
    control.stop();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  let last: RunEnd['last'] = null;
  try {
    const onListening = (url: string): void => presenter.note(`watch it at ${url}`);
    for await (const event of trainSession({ onListening, ...options }, control)) {
      presenter.show(event);
      if (event.type !== 'finished' && event.type !== 'stopped') continue;
      last = event;
      if (event.type === 'stopped')
        presenter.note(`stopped at step ${event.step}; go on with: showtell train --run ${options.run} --resume`);
      else if (event.outcome !== 'complete') presenter.note(`${event.outcome}: ${event.reason}`);
    }
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
  return { code: exitCodes[last?.type === 'finished' ? last.outcome : 'stopped'], last, bySignal: asked > 0 };
}

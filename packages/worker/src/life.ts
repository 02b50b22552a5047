import { watchParent } from './parent.js';

/** What ends a worker from outside, besides its coordinator. */
export interface Life extends Disposable {
  /** A signal came, or the parent is gone. */
  readonly ending: boolean;
}

export interface LifeEvents {
  /** End in order: finish what was begun, give back the rest. */
  drain(reason: string): void;
  /** Last things before the process ends at once. */
  force(): void;
}

/** After its parent is gone a worker has nobody to work for; a session in the engine's thread may still run for long. */
const orphanMs = 3_000;

/**
 * Watches signals, the channel by which `showtell` leads its programs, and, on demand, standard input, whose end is the parent's
 * too. A second signal ends the process at once.
 */
export function watchLife(withParent: boolean, events: LifeEvents): Life {
  let ending = false;
  // A thread within a native call holds up process.exit until it returns; this does not wait.
  const endAtOnce = (): void => {
    events.force();
    process.kill(process.pid, 'SIGKILL');
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (ending) endAtOnce();
    ending = true;
    events.drain(signal);
  };
  const onParentGone = (): void => {
    if (!ending) events.drain('the parent process is gone');
    ending = true;
    setTimeout(endAtOnce, orphanMs).unref();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const parent = watchParent(onParentGone);
  if (withParent) process.stdin.on('end', onParentGone).on('close', onParentGone).on('error', onParentGone).resume();
  return {
    get ending() {
      return ending;
    },
    [Symbol.dispose]() {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
      parent[Symbol.dispose]();
      if (withParent) process.stdin.removeAllListeners().pause();
    },
  };
}

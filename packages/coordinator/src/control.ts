import type { Interruption, RunControl } from './run.js';

/** The switchboard of one run: signals, commands and faults on one side, the run's loop on the other. */
export class Control implements RunControl {
  private reason: Interruption | null = null;
  private readonly listeners = new Set<(interruption: Interruption) => void>();
  private resumed: Promise<void> = Promise.resolve();
  private release: (() => void) | null = null;
  private pauseListener: (paused: boolean) => void = () => undefined;
  private askedListener: (paused: boolean) => void = () => undefined;
  private standsStill = false;
  private switchOrdered = false;

  get interruption(): Interruption | null {
    return this.reason;
  }

  get isPaused(): boolean {
    return this.release !== null;
  }

  /** Ends the run after the step at hand, with a checkpoint. */
  stop(): void {
    this.end({ type: 'stop' });
  }

  /** Ends the run because it cannot go on. The first reason counts. */
  fail(error: Error): void {
    this.end({ type: 'fail', error });
  }

  onInterruption(listener: (interruption: Interruption) => void): () => void {
    if (this.reason !== null) listener(this.reason);
    else this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Is told from now on when the run stands still because a person paused it, and when it goes on. */
  onPause(listener: (paused: boolean) => void): void {
    this.pauseListener = listener;
  }

  /** Is told from now on when a person asks for a pause, at once, and when its end is asked for. */
  onPauseAsked(listener: (paused: boolean) => void): void {
    this.askedListener = listener;
  }

  /** Asks for the joint phase to begin after the step at hand. */
  orderSwitch(): void {
    this.switchOrdered = true;
  }

  takeSwitchOrder(): boolean {
    const ordered = this.switchOrdered;
    this.switchOrdered = false;
    return ordered;
  }

  pause(): void {
    // What ends would wait for a person who has seen it end.
    if (this.release !== null || this.reason !== null) return;
    this.resumed = new Promise((resolve) => (this.release = resolve));
    this.askedListener(true);
  }

  resume(): void {
    if (this.release === null) return;
    this.release();
    this.release = null;
    this.askedListener(false);
    if (this.standsStill) this.pauseListener(false);
    this.standsStill = false;
  }

  untilResumed(): Promise<void> {
    // Not before: workers that were told while a step is under way would not finish it.
    if (this.release !== null && !this.standsStill) {
      this.standsStill = true;
      this.pauseListener(true);
    }
    return this.resumed;
  }

  private end(interruption: Interruption): void {
    if (this.reason !== null) return;
    this.reason = interruption;
    this.release?.();
    for (const listener of this.listeners) listener(interruption);
    this.listeners.clear();
  }
}

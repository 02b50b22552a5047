/** Wakes who waits for a change. Take `rung` before looking at the state, so that no ring is missed in between. */
export class Bell {
  private waiting: (() => void)[] = [];
  private count = 0;

  /** How often it has rung. */
  get rung(): number {
    return this.count;
  }

  ring(): void {
    this.count++;
    const woken = this.waiting;
    this.waiting = [];
    for (const wake of woken) wake();
  }

  /** Resolves once it has rung more than `seen` times, or after `ms`. */
  async after(seen: number, ms?: number): Promise<void> {
    if (this.count > seen) return;
    await new Promise<void>((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

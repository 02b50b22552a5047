import type { GradientHeader } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { AddRequest } from './parameter-shard.js';
import type { ReceivedLeaf } from './shard.js';

interface LeftGradient {
  readonly received: ReceivedLeaf;
  readonly worker: string;
  readonly attempt: number;
  /** Step of the version it was computed with. */
  readonly version: number;
}

/** So many gradients for each unit that is wanted are kept until the coordinator says which one counts. */
const leftPerUnit = 4;

/** Gradients that workers left at a shard: of each worker's units what it left last, until the coordinator asks for one. */
export class LeftGradients {
  readonly #left = new Map<string, LeftGradient>();

  /** @param units that are wanted at once, at the most */
  constructor(private readonly units: number) {}

  /** Takes the place of what the worker left of this unit before. A full one gives up the oldest of whoever left most. */
  put({ unit, worker, version }: GradientHeader, received: ReceivedLeaf): void {
    const { step = 0, index = 0, attempt = 0 } = unit ?? {};
    const key = keyOf({ step, index, worker });
    this.#left.get(key)?.received.release();
    this.#left.delete(key);
    if (this.#left.size >= leftPerUnit * this.units) this.#makeRoom();
    this.#left.set(key, { received, worker, attempt, version: version?.step ?? 0 });
  }

  /** What a worker's attempt left of a unit, the caller's to release from now on; null: nothing. */
  take(wanted: Pick<AddRequest, 'step' | 'index' | 'worker' | 'attempt'>): ReceivedLeaf | null {
    const key = keyOf(wanted);
    const last = this.#left.get(key);
    if (last?.attempt !== wanted.attempt) return null;
    this.#left.delete(key);
    return last.received;
  }

  /** @param before what was computed with an older version than this counts no more; by default nothing counts */
  forget(before = Infinity): void {
    for (const [key, { received, version }] of [...this.#left]) {
      if (version >= before) continue;
      received.release();
      this.#left.delete(key);
    }
  }

  /** What it left may not be there any more. If that is asked for, it is missing, and whoever computes the unit sends it. */
  forgetWorker(worker: string): void {
    for (const [key, { received, worker: of }] of [...this.#left]) {
      if (of !== worker) continue;
      received.release();
      this.#left.delete(key);
    }
  }

  /** If what is given up is asked for after all, its worker sends it again. */
  #makeRoom(): void {
    const counts = new Map<string, number>();
    for (const { worker } of this.#left.values()) counts.set(worker, (counts.get(worker) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const oldest = [...this.#left].find(([, { worker }]) => counts.get(worker) === most);
    if (oldest === undefined) return;
    this.#left.delete(oldest[0]);
    oldest[1].received.release();
  }
}

function keyOf({ step, index, worker }: Pick<AddRequest, 'step' | 'index' | 'worker'>): string {
  return `${step} ${index} ${worker}`;
}

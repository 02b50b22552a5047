import type { ScoredCaption } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Captionable, Captioner } from '../caption/captioner.js';

/** What is told of the queue's work. */
export interface QueueEvents {
  /** A batch was computed. */
  computed(pictures: number, seconds: number): void;
  /** The engine cannot compute any more. */
  failed(error: unknown): void;
}

interface Waiting extends Captionable {
  readonly signal: AbortSignal;
  readonly resolve: (captions: ScoredCaption[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Captions requests' pictures in one call of the engine for all that wait. An idle engine takes a picture at once; those
 * that come while it computes make the next batch. How many there are is bounded by whoever admits requests.
 */
export class CaptionQueue {
  readonly #waiting: Waiting[] = [];
  #isComputing = false;

  constructor(
    private readonly captioner: Pick<Captioner, 'caption' | 'batch'>,
    private readonly events: QueueEvents,
  ) {}

  /**
   * @param signal when it says so before the picture's turn, nothing is computed
   * @throws the signal's reason, or what the engine throws
   */
  caption(picture: Captionable, signal: AbortSignal): Promise<ScoredCaption[]> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      this.#waiting.push({ ...picture, signal, resolve, reject });
      if (!this.#isComputing) void this.#compute();
    });
  }

  async #compute(): Promise<void> {
    this.#isComputing = true;
    for (;;) {
      const batch: Waiting[] = [];
      while (batch.length < this.captioner.batch) {
        const next = this.#waiting.shift();
        if (next === undefined) break;
        if (!next.signal.aborted) batch.push(next);
      }
      if (batch.length === 0) break;
      const began = performance.now();
      try {
        const captions = await this.captioner.caption(batch);
        for (const [i, { resolve }] of batch.entries()) resolve(captions[i] ?? []);
        this.events.computed(batch.length, (performance.now() - began) / 1000);
      } catch (error) {
        for (const { reject } of batch) reject(error);
        this.events.failed(error);
      }
    }
    this.#isComputing = false;
  }
}

import { Worker } from 'node:worker_threads';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { revive } from '@showtell/shared/thrown-error.js';
import type { EvaluationReply, EvaluationResults, EvaluationThreadData } from './evaluation-thread-main.js';
import type { EvaluationResult, EvaluationWork } from './evaluation.js';

interface Order {
  readonly resolve: (reply: Exclude<EvaluationReply, { type: 'threw' }>) => void;
  readonly reject: (error: Error) => void;
}

/**
 * How versions are scored (evaluation.ts), in a thread of its own: reading and tokenising a big set's references takes
 * seconds and a score parts of one, while units are leased and answered in this thread.
 */
export class EvaluationThread implements AsyncDisposable {
  /** Answers come in the order of what was asked. */
  readonly #orders: Order[] = [];
  #ended: Error | null = null;
  #work: readonly EvaluationWork[] = [];
  #unigramLossPerWord = NaN;

  private constructor(private readonly worker: Worker) {
    worker.on('message', (reply: EvaluationReply) => {
      const order = this.#orders.shift();
      if (reply.type === 'threw') order?.reject(revive(reply.error));
      else order?.resolve(reply);
    });
    worker.on('error', (error) => this.#end(error.message, error));
    worker.on('exit', (code) => this.#end(`exit code ${code}`));
  }

  /**
   * @param location of the data: a folder, or a bucket's URL
   * @throws ShowtellError `data/split-empty` when there is nothing to validate on, or as `openData` does
   */
  static async open(location: string, job: Job): Promise<EvaluationThread> {
    const workerData: EvaluationThreadData = { location, job };
    const worker = new Worker(new URL('./evaluation-thread-main.js', import.meta.url), { workerData, name: 'scores' });
    const thread = new EvaluationThread(worker);
    try {
      const opened = await thread.#answer('opened');
      thread.#work = opened.work;
      thread.#unigramLossPerWord = opened.unigramLossPerWord;
      return thread;
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  /** The evaluation's units, in index order. */
  get work(): readonly EvaluationWork[] {
    return this.#work;
  }

  /** Loss a word, in nats, of guessing each word by how often the training captions have it. */
  get unigramLossPerWord(): number {
    return this.#unigramLossPerWord;
  }

  /**
   * What an evaluation's results add up to.
   * @throws ShowtellError `evaluation/thread-ended`
   */
  async score(results: EvaluationResults): Promise<EvaluationResult> {
    const answer = this.#answer('scored');
    this.worker.postMessage(results);
    return (await answer).result;
  }

  /** Ends the thread, whatever it does: nothing it has is to be kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker.terminate();
  }

  async #answer<T extends 'opened' | 'scored'>(type: T): Promise<Extract<EvaluationReply, { type: T }>> {
    if (this.#ended !== null) throw this.#ended;
    const reply = await new Promise<EvaluationReply>((resolve, reject) => this.#orders.push({ resolve, reject }));
    if (reply.type !== type) throw new TypeError(`the scoring thread answered ${reply.type} where ${type} was due`);
    return reply as Extract<EvaluationReply, { type: T }>;
  }

  #end(detail: string, cause?: Error): void {
    this.#ended ??= new ShowtellError('evaluation/thread-ended', { detail }, { cause });
    for (const { reject } of this.#orders.splice(0)) reject(this.#ended);
  }
}

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { BlockAnswer, BlockJob, BlockSetup, OwnedBlock } from './block-jobs.js';

/** The threads that sum and update; each owns whole blocks, so their number does not reach the bits. */
export class BlockThreads {
  readonly #threads: readonly Worker[];
  #failure: Error | null = null;
  #closing = false;
  readonly #waiting = new Set<(error: Error) => void>();

  private constructor(threads: readonly Worker[]) {
    this.#threads = threads;
    for (const thread of threads) {
      thread.on('error', (error) => this.#fail(error));
      thread.on('exit', (code) => {
        if (!this.#closing) this.#fail(new Error(`a parameter thread ended with code ${code}`));
      });
    }
  }

  static start(setup: BlockSetup, count: number): BlockThreads {
    const url = new URL('./block-thread.js', import.meta.url);
    return new BlockThreads(
      divideBlocks(setup.blocks, count).map(
        (blocks) => new Worker(url, { workerData: { ...setup, blocks }, name: 'parameters' }),
      ),
    );
  }

  /** Runs one job on all blocks. Jobs must not overlap: the caller awaits each. */
  async run(job: BlockJob): Promise<BlockAnswer> {
    if (this.#failure !== null) throw this.#failure;
    const answers = await Promise.all(this.#threads.map((thread) => this.#ask(thread, job)));
    return (
      answers.find(({ kind }) => kind === 'failed') ??
      answers.find(({ kind }) => kind === 'missing') ??
      answers.find(({ kind }) => kind === 'not-finite') ?? { kind: 'done' }
    );
  }

  #ask(thread: Worker, job: BlockJob): Promise<BlockAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      thread.once('message', (answer: BlockAnswer) => {
        this.#waiting.delete(reject);
        resolve(answer);
      });
      thread.postMessage(job);
    });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const reject of this.#waiting) reject(error);
    this.#waiting.clear();
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(
      this.#threads.map(async (thread) => {
        const exit = once(thread, 'exit');
        thread.postMessage('close');
        await exit;
      }),
    );
  }
}

/** Gives each block to the thread with the fewest elements so far, segment by segment, so that each phase is balanced. */
function divideBlocks(blocks: readonly OwnedBlock[], count: number): OwnedBlock[][] {
  const shares = Array.from({ length: count }, () => ({ blocks: [] as OwnedBlock[], elements: 0 }));
  for (const block of blocks) {
    const least = shares.reduce((a, b) => (b.elements < a.elements ? b : a));
    least.blocks.push(block);
    least.elements += block.size;
  }
  return shares.map((share) => share.blocks);
}

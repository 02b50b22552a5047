import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { ImageFormat } from '../input/image-header.js';
import { inputRulesOf } from '../input/input-rules.js';
import type { PictureReply, PictureRequest, PictureThreadData } from './picture-thread-main.js';

/** A picture as the encoder sees it, and what the file said of itself. */
export interface ReadPicture {
  /** `[S, S, 3]`, −1 to 1. */
  readonly image: Float32Array;
  /** A small JPEG, where one was asked for. */
  readonly thumbnail: Uint8Array | null;
  readonly width: number;
  readonly height: number;
  readonly format: ImageFormat;
  readonly orientation: number;
}

interface Order {
  readonly bytes: Uint8Array;
  readonly where: string;
  readonly upright: boolean;
  readonly resolve: (picture: ReadPicture) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  order: Order | null;
}

/** More would wait for one engine: four threads decode some hundreds of photographs a second. */
const mostThreads = 4;

/** Threads that decode and resize, so that neither the engine nor a server's answers wait for a large picture. */
export class PictureThreads implements AsyncDisposable {
  readonly #threads: Thread[] = [];
  readonly #waiting: Order[] = [];
  #closed: Error | null = null;
  #tellDeath: (error: ShowtellError) => void = () => undefined;
  /** Resolves when a thread is gone that nobody closed: nothing more is read then. ShowtellError `engine/thread-died` */
  readonly died = new Promise<ShowtellError>((resolve) => (this.#tellDeath = resolve));

  private constructor() {
    // Opened by `open`.
  }

  /**
   * To be opened after the engine, which sets the process's environment for all of TensorFlow.
   * @param thumbnail side of the thumbnails to make besides; null: none
   * @throws ShowtellError `engine/not-set-up`
   */
  static async open(job: Job, rules: PictureThreadData['rules'], thumbnail: number | null): Promise<PictureThreads> {
    const { resized, imageSize } = inputRulesOf(job, 0);
    const workerData: PictureThreadData = { engine: job.engine, rules, resized, imageSize, thumbnail };
    const threads = new PictureThreads();
    const count = Math.max(1, Math.min(mostThreads, availableParallelism() - 1));
    await Promise.all(Array.from({ length: count }, () => threads.#start(workerData)));
    return threads;
  }

  /**
   * Decodes a picture and draws it as evaluation does. Those waiting are taken in the order of the calls.
   * @param upright whether a JPEG is turned by its EXIF tag
   * @param over nobody waits for it any more: it is not begun then
   * @throws ShowtellError `picture/unknown-format`, `picture/too-large`, `input/picture-undecodable`; the signal's reason
   */
  read(bytes: Uint8Array, where: string, upright: boolean, over?: AbortSignal): Promise<ReadPicture> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    if (over?.aborted === true) return Promise.reject(over.reason as Error);
    return new Promise((resolve, reject) => {
      const drop = (): void => {
        const at = this.#waiting.indexOf(order);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(over?.reason as Error);
      };
      const order: Order = {
        ...{ bytes, where, upright },
        resolve: (picture) => {
          over?.removeEventListener('abort', drop);
          resolve(picture);
        },
        reject: (error) => {
          over?.removeEventListener('abort', drop);
          reject(error);
        },
      };
      over?.addEventListener('abort', drop, { once: true });
      this.#waiting.push(order);
      this.#hand();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed !== null) return;
    this.#fail(new Error('the picture threads are closed'));
    // The addon does not outlive a process.exit under it: each thread ends by itself.
    await Promise.all(
      this.#threads.map(({ worker }) => {
        const ended = new Promise<void>((resolve) => void worker.once('exit', () => resolve()));
        worker.postMessage({ type: 'close' } satisfies PictureRequest);
        return ended;
      }),
    );
  }

  async #start(workerData: PictureThreadData): Promise<void> {
    const worker = new Worker(new URL('./picture-thread-main.js', import.meta.url), { workerData, name: 'pictures' });
    const thread: Thread = { worker, order: null };
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (reply: PictureReply) => {
        if (reply.type === 'opened') resolve();
        else if (thread.order === null && reply.type !== 'read') reject(errorOf(reply));
        else this.#settle(thread, reply);
      });
      const fail = (detail: string, cause?: Error): void => {
        const error = new ShowtellError('engine/thread-died', { detail }, { cause });
        reject(error);
        if (this.#closed === null) this.#tellDeath(error);
        this.#fail(error);
      };
      worker.on('error', (error) => fail(`a picture thread failed: ${error.message}`, error));
      worker.on('exit', (code) => fail(`a picture thread ended with code ${code}`));
    });
    this.#threads.push(thread);
    this.#hand();
  }

  #hand(): void {
    for (const thread of this.#threads) {
      if (thread.order !== null) continue;
      const order = this.#waiting.shift();
      if (order === undefined) return;
      thread.order = order;
      const { bytes, where, upright } = order;
      thread.worker.postMessage({ type: 'read', bytes, where, upright } satisfies PictureRequest);
    }
  }

  #settle(thread: Thread, reply: PictureReply): void {
    const { order } = thread;
    thread.order = null;
    if (reply.type === 'read') order?.resolve(reply.picture);
    else if (reply.type !== 'opened') order?.reject(errorOf(reply));
    this.#hand();
  }

  #fail(error: Error): void {
    this.#closed ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    for (const thread of this.#threads) {
      thread.order?.reject(error);
      thread.order = null;
    }
  }
}

function errorOf(reply: Exclude<PictureReply, { type: 'read' | 'opened' }>): Error {
  return reply.type === 'failed' ? new Error(reply.message) : new ShowtellError(reply.code, reply.facts as never);
}

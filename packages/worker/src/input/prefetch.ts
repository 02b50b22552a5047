import { Worker } from 'node:worker_threads';
import { ShowtellError } from '@showtell/shared/errors.js';
import { endThread } from '../end-thread.js';
import type { PictureKey } from './feature-cache.js';
import type { CachePlace, InputRequest, InputResponse, InputThreadData, PlainError } from './input-thread.js';
import type { PreparedUnit, PrepareRequest } from './prepare-unit.js';

/** Makes units ready in a thread of its own, ahead of the step; the caller bounds how many by the leases it holds. */
export class Prefetcher implements AsyncDisposable {
  private readonly waiting = new Map<number, Waiting>();
  private next = 0;
  private closed = false;
  private fatal: Error | null = null;
  private readonly ended: Promise<void>;

  private constructor(
    private readonly thread: Worker,
    private readonly onWarning: (error: Error) => void,
  ) {
    this.ended = new Promise((resolve) => void thread.once('exit', () => resolve()));
  }

  /**
   * Starts the thread and opens the data set in it.
   * @param onWarning told what was mended or put up with: a record read again, a disk that takes no more features
   * @throws ShowtellError as `openData`; `engine/not-set-up`
   */
  static async open(data: InputThreadData, onWarning: (error: Error) => void): Promise<Prefetcher> {
    const thread = new Worker(new URL('./input-thread.js', import.meta.url), { workerData: data, name: 'input' });
    const prefetcher = new Prefetcher(thread, onWarning);
    await new Promise<void>((resolve, reject) => {
      thread.on('message', (response: InputResponse) => {
        if (response.type === 'opened') resolve();
        else if (response.type === 'failed' && response.id === null) reject(errorOf(response.error));
        else prefetcher.receive(response);
      });
      const fail = (error: Error): void => {
        reject(error);
        prefetcher.fail(error);
      };
      thread.on('error', fail);
      // Such as one for which there was no memory: nothing else tells that it was an answer.
      thread.on('messageerror', (error) => {
        fail(error);
        void thread.terminate();
      });
      thread.on('exit', (code) => fail(new Error(`the input thread ended with code ${code}`)));
    });
    return prefetcher;
  }

  /** @throws ShowtellError as `prepareUnit` */
  prepare(unit: PrepareRequest): Promise<PreparedUnit> {
    if (this.fatal !== null) return Promise.reject(this.fatal);
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.send({ type: 'prepare', id, unit });
    });
  }

  /** Keeps and finds features there from now on. */
  useCache(place: CachePlace | null): void {
    this.send({ type: 'use-cache', place });
  }

  /** @param features `[pictures, F]` */
  keep(pictures: readonly PictureKey[], features: Float32Array): void {
    this.send({ type: 'keep', pictures, features });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.fail(new Error('the input thread was closed'));
    this.send({ type: 'close' });
    await endThread(this.thread, this.ended);
  }

  private send(request: InputRequest): void {
    this.thread.postMessage(request);
  }

  private receive(response: InputResponse): void {
    if (response.type === 'warning') this.onWarning(errorOf(response.error));
    if (response.type !== 'prepared' && response.type !== 'failed') return;
    const waiting = this.waiting.get(response.id ?? -1);
    this.waiting.delete(response.id ?? -1);
    if (response.type === 'prepared') waiting?.resolve(response.unit);
    else waiting?.reject(errorOf(response.error));
  }

  private fail(error: Error): void {
    this.fatal ??= error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

interface Waiting {
  readonly resolve: (unit: PreparedUnit) => void;
  readonly reject: (error: Error) => void;
}

function errorOf(plain: PlainError): Error {
  return plain.code === null ? new Error(plain.message) : new ShowtellError(plain.code, plain.facts as never);
}

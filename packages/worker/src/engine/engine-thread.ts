import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { EngineName } from '@showtell/shared/job/engine-names.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { revive, type ThrownError } from '@showtell/shared/thrown-error.js';
import { endThread } from '../end-thread.js';
import { prepareEngine } from './choose-engine.js';
import type {
  CaptionBatch,
  DecodedStep,
  DecoderState,
  Engine,
  EngineFingerprint,
  EngineMemory,
  EngineOptions,
  ExampleLosses,
  GradientBuffers,
  StepResult,
  TrainingBatch,
} from './engine.js';
import type { SegmentName, Segments } from '@showtell/shared/tensors/layout.js';

/** The calls that cross to the engine's thread, by their names in the contract. */
export type EngineCall = {
  [K in keyof Engine]: Engine[K] extends (...args: infer A) => Promise<unknown>
    ? { id: number; call: K; args: A }
    : never;
}[keyof Engine];

/** What the thread is started with. */
export interface EngineThreadData {
  readonly engine: EngineName;
  readonly options: EngineOptions;
}

export type EngineReply =
  | { readonly type: 'ready'; readonly name: string; readonly fingerprint: EngineFingerprint }
  | { readonly type: 'returned'; readonly id: number; readonly value: unknown }
  | { readonly type: 'threw'; readonly id: number | null; readonly error: ThrownError };

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/**
 * An engine in a thread of its own. A session call is synchronous and may take a minute; leases, streams and timers live
 * on in the thread that awaits it. Parameters and gradients must lie in shared memory; what else is given is copied, and
 * results are handed over without a copy.
 */
export class EngineThread implements Engine {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #next = 0;
  #ended: Error | undefined;

  private constructor(
    worker: Worker,
    readonly name: string,
    readonly fingerprint: EngineFingerprint,
  ) {
    this.#worker = worker;
    worker.on('message', (reply: EngineReply) => {
      this.#receive(reply);
    });
    worker.on('error', (error) => {
      this.#end(died(error.message, error));
    });
    worker.on('messageerror', (error) => {
      this.#end(died(error.message, error));
      void worker.terminate();
    });
    worker.on('exit', (code) => {
      this.#end(died(`exit code ${code}`));
    });
  }

  /**
   * Starts the thread and opens the engine in it. One thread count a process: TensorFlow reads it once.
   * @throws ShowtellError what opening the engine throws: not set up, no GPU, …
   */
  static async open(engine: EngineName, options: EngineOptions): Promise<EngineThread> {
    // A thread's environment is a copy, but native libraries read the process's own.
    prepareEngine({ name: engine, options });
    const workerData: EngineThreadData = { engine, options };
    const worker = new Worker(new URL('./engine-thread-main.js', import.meta.url), { workerData, name: 'engine' });
    const reply = await firstReply(worker);
    if (reply.type === 'ready') return new EngineThread(worker, reply.name, reply.fingerprint);
    await worker.terminate();
    throw reply.type === 'threw' ? revive(reply.error) : new TypeError(`the engine's thread began with ${reply.type}`);
  }

  setParameters(parameters: Segments, changedAt: Readonly<Record<SegmentName, number>>): Promise<void> {
    requireShared(Object.values(parameters));
    return this.#call('setParameters', [parameters, changedAt]);
  }

  gradientStep(batch: TrainingBatch, into: GradientBuffers): Promise<StepResult> {
    requireShared([into.decoder, into.embeddingRows, into.encoder, into.statistics]);
    return this.#call('gradientStep', [batch, into]);
  }

  features(images: Float32Array, n: number): Promise<Float32Array> {
    return this.#call('features', [images, n]);
  }

  evaluate(batch: CaptionBatch & { readonly features: Float32Array }): Promise<ExampleLosses> {
    return this.#call('evaluate', [batch]);
  }

  decodeStart(features: Float32Array, n: number): Promise<DecoderState> {
    return this.#call('decodeStart', [features, n]);
  }

  decodeStep(words: Int32Array, state: DecoderState, k: number): Promise<DecodedStep> {
    return this.#call('decodeStep', [words, state, k]);
  }

  memory(): Promise<EngineMemory> {
    return this.#call('memory', []);
  }

  /** Waits for calls under way, then ends the thread. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const closed = this.#call('close', []);
    await endThread(this.#worker, closed);
    this.#ended = new TypeError('the engine is closed');
  }

  #call<T>(call: EngineCall['call'], args: readonly unknown[]): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, args });
    });
  }

  #receive(reply: EngineReply): void {
    if (reply.type === 'ready' || reply.id === null) return;
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (reply.type === 'returned') pending?.resolve(reply.value as never);
    else pending?.reject(revive(reply.error));
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#ended);
    this.#pending.clear();
  }
}

/** @throws ShowtellError `engine/thread-died` when the thread ends without one */
async function firstReply(worker: Worker): Promise<EngineReply> {
  const over = new AbortController();
  const { signal } = over;
  const ended = once(worker, 'exit', { signal }).then(([code]) => {
    throw died(`exit code ${String(code)}`);
  });
  try {
    const [reply] = (await Promise.race([once(worker, 'message', { signal }), ended])) as [EngineReply];
    return reply;
  } catch (error) {
    throw error instanceof ShowtellError ? error : died(error instanceof Error ? error.message : String(error), error);
  } finally {
    ended.catch(() => undefined);
    over.abort();
  }
}

function died(detail: string, cause?: unknown): ShowtellError {
  return new ShowtellError('engine/thread-died', { detail }, cause === undefined ? {} : { cause });
}

function requireShared(values: readonly (Float32Array | undefined)[]): void {
  for (const value of values) {
    if (value !== undefined && !(value.buffer instanceof SharedArrayBuffer))
      throw new TypeError('parameters and gradients must lie in shared memory (allocateShared)');
  }
}

import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { NamedTensor } from '@showtell/shared/tensors/hash.js';
import { type ParameterLayout, type Segments, tensorView } from '@showtell/shared/tensors/layout.js';
import type { OptimizerState } from '../parameter-server/optimizer.js';
import {
  keptOf,
  listCheckpoints,
  nameOf,
  pruneCheckpoints,
  removeLeftovers,
  type ListedCheckpoint,
} from './checkpoint-folders.js';
import type { CheckpointAbout, Manifest, ManifestContent } from './manifest.js';
import { optimizerTensors } from './optimizer-tensors.js';
import { type ReadCheckpoint, readCheckpoint, verifyCheckpoint } from './read-checkpoint.js';
import { bestOf, type Retention } from './retention.js';
import type { CheckpointToSave, SaveAnswer } from './save-thread.js';
import { pinFile, syncFolder } from './write-checkpoint.js';

export interface CheckpointStoreOptions {
  /** Applied after each save; null keeps everything. */
  readonly retention?: Retention | null;
  /** Told of each checkpoint that is passed over, by its folder. */
  readonly onDamaged?: (path: string, error: Error) => void;
  /** Told why checkpoints that were to go after a save did not; the next save tries again. */
  readonly onNotRemoved?: (detail: string) => void;
}

/** What is saved: a version, which the caller holds until the promise settles, and what the run knows of it. */
export interface CheckpointContent {
  readonly about: CheckpointAbout;
  readonly layout: ParameterLayout;
  readonly parameters: Segments;
  /** null for an optimizer without state. */
  readonly optimizer: OptimizerState | null;
  /** Kept whatever the retention says. */
  readonly pinned?: boolean;
}

/** The checkpoints of a run: a folder a step, each whole or absent. */
export class CheckpointStore implements AsyncDisposable {
  #thread: Worker | null = null;
  #saving: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly directory: string,
    private readonly options: CheckpointStoreOptions,
  ) {}

  /** Opens `RUN/checkpoints` for writing: makes the folder and removes what interrupted writes left in it. */
  static open(directory: string, options: CheckpointStoreOptions = {}): CheckpointStore {
    mkdirSync(directory, { recursive: true });
    removeLeftovers(directory);
    return new CheckpointStore(directory, options);
  }

  /** Opens an existing folder for reading: what another process is writing there stays as it is. */
  static read(directory: string, options: CheckpointStoreOptions = {}): CheckpointStore {
    return new CheckpointStore(directory, options);
  }

  pathOf(step: number): string {
    return path.join(this.directory, nameOf(step));
  }

  has(step: number): boolean {
    return existsSync(this.pathOf(step));
  }

  isPinned(step: number): boolean {
    return existsSync(path.join(this.pathOf(step), pinFile));
  }

  /**
   * Saves a version off the main thread. Saves follow one another.
   * @returns the checkpoint's folder
   * @throws ShowtellError `checkpoint/write-failed`; earlier checkpoints are untouched
   */
  async save(content: CheckpointContent): Promise<{ path: string; manifest: ManifestContent }> {
    const saving = this.#saving.then(() => this.#save(content));
    this.#saving = saving.catch(() => undefined);
    return saving;
  }

  async #save(content: CheckpointContent): Promise<{ path: string; manifest: ManifestContent }> {
    const { about, layout, parameters, optimizer } = content;
    const folder = this.pathOf(about.step);
    const answer = await this.#ask({
      directory: this.directory,
      name: nameOf(about.step),
      about,
      savedAt: new Date().toISOString(),
      parameters: namedTensors(layout.entries, parameters),
      optimizer: optimizer === null ? [] : optimizerTensors(layout, optimizer),
      pinned: content.pinned ?? false,
      retention: this.options.retention ?? null,
    });
    if (answer.kind === 'failed')
      throw new ShowtellError('checkpoint/write-failed', { path: folder, detail: answer.message });
    if (answer.notRemoved !== null) this.options.onNotRemoved?.(answer.notRemoved);
    return { path: folder, manifest: answer.content };
  }

  #ask(checkpoint: CheckpointToSave): Promise<SaveAnswer> {
    this.#thread ??= new Worker(new URL('./save-thread.js', import.meta.url), { name: 'checkpoints' });
    const thread = this.#thread;
    return new Promise((resolve) => {
      const settle = (answer: SaveAnswer): void => {
        thread.off('message', settle).off('error', failed).off('exit', ended);
        resolve(answer);
      };
      const failed = (error: Error): void => {
        this.#thread = null;
        settle({ kind: 'failed', message: error.message });
      };
      const ended = (): void => failed(new Error('the saving thread ended'));
      thread.on('message', settle).on('error', failed).on('exit', ended);
      thread.postMessage(checkpoint);
    });
  }

  /** The sound checkpoint with the best BLEU-4; undefined where none was evaluated. */
  best(): ListedCheckpoint | undefined {
    const sound = this.list().filter(({ manifest }) => manifest !== null);
    const step = bestOf(sound.map(keptOf));
    return sound.find((listed) => listed.step === step);
  }

  /** In step order. */
  list(): ListedCheckpoint[] {
    return listCheckpoints(this.directory);
  }

  /** @throws ShowtellError `checkpoint/missing`, `checkpoint/damaged`, `parameters/state-mismatch` */
  read(step: number, layout: ParameterLayout): Promise<ReadCheckpoint> {
    return readCheckpoint(this.pathOf(step), layout);
  }

  /** Checks every byte. @throws ShowtellError `checkpoint/missing`, `checkpoint/damaged` */
  verify(step: number): Promise<Manifest> {
    return verifyCheckpoint(this.pathOf(step));
  }

  /**
   * The newest checkpoint of at most `atMost` whose every byte is as it was written; damaged ones are passed over and
   * reported.
   * @returns null when there is none
   * @throws ShowtellError `parameters/state-mismatch` when it is of another model
   */
  async newestSound(layout: ParameterLayout, atMost = Number.MAX_SAFE_INTEGER): Promise<ReadCheckpoint | null> {
    for (const { step, path: folder } of this.list().reverse()) {
      if (step > atMost) continue;
      try {
        return await this.read(step, layout);
      } catch (error) {
        if (!(error instanceof ShowtellError) || error.code === 'parameters/state-mismatch') throw error;
        this.options.onDamaged?.(folder, error);
      }
    }
    return null;
  }

  /** Keeps a checkpoint whatever the retention says. */
  pin(step: number): void {
    closeSync(openSync(path.join(this.pathOf(step), pinFile), 'w'));
    syncFolder(this.pathOf(step));
  }

  /**
   * Removes checkpoints but for the last ones, the best and those that are pinned.
   * @returns their steps; with `dryRun` they stay
   */
  prune(keep: Retention, dryRun = false): number[] {
    return pruneCheckpoints(this.directory, keep, dryRun);
  }

  /** Removes the checkpoints after a step: those of a lineage that was rolled back. */
  removeAfter(step: number): void {
    for (const listed of this.list()) if (listed.step > step) rmSync(listed.path, { recursive: true, force: true });
  }

  /** Waits for the save under way and ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#saving;
    if (this.#thread === null) return;
    const exit = once(this.#thread, 'exit');
    this.#thread.postMessage('close');
    await exit;
    this.#thread = null;
  }
}

function namedTensors(entries: ParameterLayout['entries'], segments: Segments): NamedTensor[] {
  return entries.map((entry) => ({ name: entry.name, shape: entry.shape, values: tensorView(segments, entry) }));
}

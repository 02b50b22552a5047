import { existsSync } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { ShowtellError } from '@showtell/shared/errors.js';

/**
 * A file of a command's output, which is there whole or not at all: room for it is made beside its place before the
 * command's work, so that a place that cannot be written is told of first.
 */
export class NewFile implements AsyncDisposable {
  #isInPlace = false;

  private constructor(
    readonly path: string,
    private readonly beside: string,
    private readonly handle: FileHandle,
  ) {}

  /** @throws ShowtellError `file/exists`, `file/unwritable` */
  static async open(path: string): Promise<NewFile> {
    if (existsSync(path)) throw new ShowtellError('file/exists', { file: path });
    const beside = `${path}.${process.pid}.partial`;
    try {
      return new NewFile(path, beside, await open(beside, 'wx'));
    } catch (cause) {
      throw unwritable(path, cause);
    }
  }

  /** Writes everything, still beside. @throws ShowtellError `file/unwritable` */
  async write(content: string): Promise<void> {
    try {
      await this.handle.writeFile(content);
      await this.handle.sync();
    } catch (cause) {
      throw unwritable(this.path, cause);
    }
  }

  /** What was written takes its place. @throws ShowtellError `file/unwritable` */
  async putInPlace(): Promise<void> {
    try {
      await rename(this.beside, this.path);
      this.#isInPlace = true;
    } catch (cause) {
      throw unwritable(this.path, cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.handle.close();
    if (!this.#isInPlace) await rm(this.beside, { force: true });
  }
}

/** The system's error about a file in the words of the table. */
export function unwritable(file: string, cause: unknown): ShowtellError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const details: Readonly<Record<string, string>> = {
    ENOENT: 'its folder does not exist',
    ENOTDIR: 'what should be its folder is a file',
    EACCES: 'its folder may not be written in',
    ENOSPC: 'the disk is full',
  };
  return new ShowtellError('file/unwritable', { file, detail: details[code ?? ''] ?? message }, { cause });
}

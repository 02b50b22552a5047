import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { ShowtellError } from '@showtell/shared/errors.js';

/** A file that is read in places, and whose faults are told by its name. */
export class FileBytes {
  readonly size: number;

  /** @throws ShowtellError `file/missing` */
  constructor(readonly path: string) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isFile() !== true) throw new ShowtellError('file/missing', { file: path, what: 'The checkpoint file' });
    this.size = stat.size;
  }

  malformed(detail: string, cause?: unknown): ShowtellError {
    return new ShowtellError('tensorflow/malformed', { file: this.path, detail }, { cause });
  }

  /** Runs a parser of the file's bytes; whatever it throws is the file's fault. @throws ShowtellError `tensorflow/malformed` */
  parse<T>(parser: () => T): T {
    try {
      return parser();
    } catch (error) {
      if (error instanceof ShowtellError) throw error;
      throw this.malformed(error instanceof Error ? error.message : String(error), error);
    }
  }

  /** @throws ShowtellError `tensorflow/malformed` when the file does not reach so far */
  read(offset: number, bytes: number): Buffer {
    if (offset < 0 || bytes < 0 || offset + bytes > this.size)
      throw this.malformed(`it has ${this.size} bytes where bytes ${offset} to ${offset + bytes} should be`);
    const into = Buffer.allocUnsafeSlow(bytes);
    const fd = openSync(this.path, 'r');
    try {
      for (let done = 0; done < bytes;) {
        const read = readSync(fd, into, done, bytes - done, offset + done);
        if (read === 0) throw this.malformed(`it ends at byte ${offset + done}`);
        done += read;
      }
    } finally {
      closeSync(fd);
    }
    return into;
  }
}

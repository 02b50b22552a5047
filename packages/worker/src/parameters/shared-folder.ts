import { readSync, writeSync } from 'node:fs';
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { fromBfloat16, toBfloat16 } from '@showtell/shared/tensors/bfloat16.js';
import { bytesOf, type GradientBody, type WireDtype } from '@showtell/shared/tensors/gradient-body.js';
import { headerBytes, holdsStamp, type VersionStamp } from '@showtell/shared/tensors/version-file.js';

/** Bytes that pass from or to a file in one call, off the main thread. */
const pieceBytes = 8 * 1_048_576;
/** So few bytes are copied at once in this thread: the way through another costs more than the copy, tens of microseconds. */
const smallBytes = 262_144;

/**
 * The coordinator's folder in shared memory as a worker on its host uses it: it reads version files there and writes
 * its gradients to slots of its own, which are files that are reused.
 */
export class SharedFolder {
  readonly #directory: string;
  readonly #prefix: string;
  readonly #versionFiles = new Map<string, FileHandle>();
  readonly #slots = new Map<string, FileHandle>();
  readonly #free: string[] = [];
  #made = 0;

  private constructor(directory: string, worker: string) {
    this.#directory = directory;
    this.#prefix = `slot-${worker.replace(/[^A-Za-z0-9._-]/g, '_')}+${process.pid}-`;
  }

  /** @returns null when the folder is not this coordinator's on this host */
  static async open(directory: string, nonce: string, worker: string): Promise<SharedFolder | null> {
    if (directory === '' || nonce === '') return null;
    try {
      const found = await readFile(path.join(directory, 'nonce'), 'utf8');
      return found === nonce ? new SharedFolder(directory, worker) : null;
    } catch {
      return null;
    }
  }

  /**
   * Reads a segment from a version file.
   * @returns false when the file holds another version by now
   */
  async readSegment(
    file: string,
    offset: number,
    stamp: VersionStamp,
    dtype: WireDtype,
    into: Float32Array,
  ): Promise<boolean> {
    let handle = this.#versionFiles.get(file);
    if (handle === undefined) {
      handle = await open(path.join(this.#directory, path.basename(file)), 'r');
      this.#versionFiles.set(file, handle);
    }
    const header = new Uint8Array(32);
    const isCurrent = (): boolean => {
      readSync(handle.fd, header, 0, header.length, offset - headerBytes);
      return holdsStamp(header, stamp);
    };
    if (!isCurrent()) return false;
    const size = bytesOf(dtype);
    const most = pieceBytes / 4;
    const narrow = new Uint16Array(dtype === 'bfloat16' ? Math.min(most, into.length) : 0);
    for (let element = 0; element < into.length; element += most) {
      const n = Math.min(most, into.length - element);
      if (dtype === 'float32') {
        await readAll(handle, bytes(into, element * 4, n * 4), offset + element * 4);
      } else {
        await readAll(handle, bytes(narrow, 0, n * 2), offset + element * size);
        fromBfloat16(narrow.subarray(0, n), into.subarray(element, element + n));
      }
    }
    return isCurrent();
  }

  /**
   * Writes a gradient to a slot.
   * @param values of each part of the body, then of its rows
   * @returns the slot's name; it is the caller's until {@link release}
   * @throws the system's error, such as ENOSPC; the slot is removed then
   */
  async writeGradient(body: GradientBody, values: readonly Float32Array[]): Promise<string> {
    const name = this.#free.pop() ?? `${this.#prefix}${this.#made++}`;
    const file = path.join(this.#directory, name);
    try {
      const handle = this.#slots.get(name) ?? (await open(file, 'w', 0o600));
      this.#slots.set(name, handle);
      const parts = body.rows === null ? body.parts : [...body.parts, body.rows];
      for (const [i, part] of parts.entries())
        await this.#writePart(handle, part.offset, part.dtype, values[i] ?? new Float32Array());
      return name;
    } catch (error) {
      await this.#slots.get(name)?.close();
      this.#slots.delete(name);
      await rm(file, { force: true });
      throw error;
    }
  }

  async #writePart(handle: FileHandle, position: number, dtype: WireDtype, values: Float32Array): Promise<void> {
    const most = pieceBytes / 4;
    const size = bytesOf(dtype);
    const narrow = new Uint16Array(dtype === 'bfloat16' ? Math.min(most, values.length) : 0);
    for (let element = 0; element < values.length; element += most) {
      const piece = values.subarray(element, element + most);
      if (dtype === 'bfloat16') toBfloat16(piece, narrow);
      const source = dtype === 'float32' ? piece : narrow;
      await writeAll(handle, bytes(source, 0, piece.length * size), position + element * size);
    }
  }

  /** Gives a slot back after the verdict. */
  release(name: string): void {
    if (this.#slots.has(name)) this.#free.push(name);
  }

  /** Does without a slot from now on: whether its file is there still, nobody knows. */
  async discard(name: string): Promise<void> {
    await this.#slots.get(name)?.close();
    this.#slots.delete(name);
    await rm(path.join(this.#directory, name), { force: true });
  }

  async close(): Promise<void> {
    for (const handle of this.#versionFiles.values()) await handle.close();
    for (const [name, handle] of this.#slots) {
      await handle.close();
      await rm(path.join(this.#directory, name), { force: true });
    }
    this.#versionFiles.clear();
    this.#slots.clear();
    this.#free.length = 0;
  }
}

function bytes(values: Float32Array | Uint16Array, start: number, length: number): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset + start, length);
}

async function readAll(handle: FileHandle, into: Uint8Array, position: number): Promise<void> {
  await moveAll(into.length, (done, left) =>
    into.length <= smallBytes
      ? readSync(handle.fd, into, done, left, position + done)
      : handle.read(into, done, left, position + done).then(({ bytesRead }) => bytesRead),
  );
}

async function writeAll(handle: FileHandle, from: Uint8Array, position: number): Promise<void> {
  await moveAll(from.length, (done, left) =>
    from.length <= smallBytes
      ? writeSync(handle.fd, from, done, left, position + done)
      : handle.write(from, done, left, position + done).then(({ bytesWritten }) => bytesWritten),
  );
}

/** A call may move fewer bytes than asked. */
async function moveAll(total: number, move: (done: number, left: number) => number | Promise<number>): Promise<void> {
  for (let done = 0; done < total;) {
    const moved = await move(done, total - done);
    if (moved === 0) throw new Error('a file in shared memory is shorter than it should be');
    done += moved;
  }
}

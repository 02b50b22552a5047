import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bytesOf, dtypeOf, type WireDtype } from '@showtell/shared/tensors/gradient-body.js';
import { type ParameterLayout, type SegmentName, segmentNames } from '@showtell/shared/tensors/layout.js';
import { encodeStamp, headerBytes, type VersionStamp } from '@showtell/shared/tensors/version-file.js';
import { ringFiles } from './versions.js';

/** Names of this folder's files and of workers' slots; nothing else is opened. */
const slotName = /^slot-[A-Za-z0-9._-]{1,120}\+\d+-\d+$/;
const folderName = /^showtell-.*-(\d+)-(\d+)-[0-9a-f]{16}$/;

/**
 * A folder in shared memory for one parameter server: each segment's ring of version files, and the slots that workers
 * write gradients to. The files are allocated once and reused, because fresh pages of a tmpfs cost more than copying.
 */
export class SharedMemory {
  readonly #handles = new Map<string, Awaited<ReturnType<typeof open>>>();

  private constructor(
    readonly directory: string,
    /** Content of the folder's file `nonce`: who can read it there is on this host. */
    readonly nonce: string,
    readonly rings: Readonly<Record<SegmentName, readonly string[]>>,
  ) {}

  /**
   * Makes the folder below `parent`, and removes folders there whose owner is dead.
   * @returns null with the reason when there is no room, which makes workers use gRPC
   */
  static async open(
    parent: string,
    run: string,
    layout: ParameterLayout,
    wire: WireDtype,
    onNotice: (text: string) => void,
  ): Promise<SharedMemory | null> {
    if (!existsSync(parent)) {
      onNotice(`no shared memory at ${parent}: gradients and parameters travel by gRPC`);
      return null;
    }
    removeAbandoned(parent);
    const sizes = segmentNames.map((segment) => layout.elements[segment] * bytesOf(dtypeOf(segment, wire)));
    const version = sizes.reduce((a, b) => a + b, 0);
    const { bavail, bsize } = statfsSync(parent);
    // The rings, and two slots for each of two workers.
    const needed = version * (ringFiles + 4) + 1_048_576;
    if (bavail * bsize < needed) {
      onNotice(
        `${parent} has ${bavail * bsize} bytes free of ${needed} needed: gradients and parameters travel by gRPC`,
      );
      return null;
    }
    const name = `showtell-${run.replace(/[^A-Za-z0-9_]/g, '_')}-${process.pid}-${startOf(process.pid) ?? 0}-${randomBytes(8).toString('hex')}`;
    const directory = path.join(parent, name);
    await mkdir(directory, { mode: 0o700 });
    const nonce = randomBytes(32).toString('hex');
    await writeFile(path.join(directory, 'nonce'), nonce, { mode: 0o600 });
    const ring = (segment: SegmentName): string[] =>
      Array.from({ length: ringFiles }, (_, i) => path.join(directory, `${segment}.${i}`));
    const rings = {
      decoder: ring('decoder'),
      embedding: ring('embedding'),
      encoder: ring('encoder'),
      statistics: ring('statistics'),
    };
    const memory = new SharedMemory(directory, nonce, rings);
    for (const [i, segment] of segmentNames.entries())
      for (const file of rings[segment]) await memory.#allocate(file, headerBytes + (sizes[i] ?? 0));
    return memory;
  }

  async #allocate(file: string, bytes: number): Promise<void> {
    const handle = await open(file, 'wx+', 0o600);
    this.#handles.set(file, handle);
    const zeros = Buffer.alloc(Math.min(bytes, 4 * 1_048_576));
    for (let done = 0; done < bytes; done += zeros.length)
      await handle.write(zeros, 0, Math.min(zeros.length, bytes - done), done);
  }

  /** Says which version a ring's file holds; null before it is written anew. */
  stamp(segment: SegmentName, ring: number, stamp: VersionStamp | null): void {
    const handle = this.#handles.get(this.rings[segment][ring] ?? '');
    if (handle !== undefined) writeSync(handle.fd, encodeStamp(stamp), 0, 32, 0);
  }

  /** @returns the file of a slot that a worker named; null when it is none of this folder's or not of this size */
  slot(name: string, bytes: number): string | null {
    if (!slotName.test(name)) return null;
    const file = path.join(this.directory, name);
    const stat = lstatSync(file, { throwIfNoEntry: false });
    return stat?.isFile() === true && stat.size >= bytes ? file : null;
  }

  /** Whether a slot of this name would be in order, and there is none. */
  lacks(name: string): boolean {
    return slotName.test(name) && lstatSync(path.join(this.directory, name), { throwIfNoEntry: false }) === undefined;
  }

  /** Removes the slots of a worker that is gone. */
  async removeSlots(worker: string): Promise<void> {
    const prefix = `slot-${worker.replace(/[^A-Za-z0-9._-]/g, '_')}+`;
    for (const name of await readdir(this.directory))
      if (name.startsWith(prefix)) await rm(path.join(this.directory, name), { force: true });
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) await handle.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Removes the folders of dead owners: a process id alone may have been given to another process since. */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    const match = folderName.exec(name);
    if (match === null) continue;
    const [, pid, start] = match;
    if (startOf(Number(pid)) === Number(start)) continue;
    const directory = path.join(parent, name);
    const stat = statSync(directory, { throwIfNoEntry: false });
    if (stat?.uid === process.getuid?.()) rmSync(directory, { recursive: true, force: true });
  }
}

/** When a process started, in clock ticks since boot; null when there is none of this id. */
function startOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : Number(fields[19]);
  } catch {
    return null;
  }
}

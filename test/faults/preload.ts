import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';

const source = fileURLToPath(new URL('preload/preload.c', import.meta.url));

/** `struct control` of preload.c. */
const controlBytes = 24;

/** Compiles preload.c once into the cache. @returns its path; null without a C compiler */
export function buildPreload(): string | null {
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12);
  const folder = join(cacheFolder(), 'fault-lab');
  const library = join(folder, `preload-${hash}.so`);
  if (existsSync(library)) return library;
  mkdirSync(folder, { recursive: true });
  const beside = `${library}.${process.pid}`;
  for (const compiler of ['cc', 'gcc', 'g++', 'clang']) {
    const language = compiler === 'g++' ? ['-x', 'c++', '-fpermissive'] : [];
    const args = ['-O2', '-shared', '-fPIC', ...language, '-o', beside, source, '-ldl'];
    if (spawnSync(compiler, args).status !== 0) continue;
    renameSync(beside, library);
    return library;
  }
  return null;
}

/** What one process's clock and disk do: read by preload.c at each call. */
export class ProcessControl implements Disposable {
  private readonly descriptor: number;

  constructor(
    private readonly library: string,
    private readonly file: string,
    /** Writes below it are touched. */
    private readonly disk: string,
  ) {
    writeFileSync(file, Buffer.alloc(controlBytes));
    this.descriptor = openSync(file, 'r+');
  }

  /** What the process is started with. */
  get environment(): NodeJS.ProcessEnv {
    return { LD_PRELOAD: this.library, LAB_CONTROL: this.file, LAB_DISK: this.disk };
  }

  setClock(seconds: number): void {
    const value = Buffer.alloc(8);
    value.writeBigInt64LE(BigInt(seconds));
    writeSync(this.descriptor, value, 0, 8, 0);
  }

  delayWrites(ms: number): void {
    this.put(ms, 8);
  }

  /** The write of this number from now is cut in half, and the process ends with it. 0: none. */
  tearWrite(number: number): void {
    this.put(number, 12);
  }

  /** Writes fail with this error from now on. 0: no more. */
  failWrites(errno: number): void {
    this.put(errno, 16);
  }

  [Symbol.dispose](): void {
    closeSync(this.descriptor);
  }

  private put(value: number, at: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    writeSync(this.descriptor, bytes, 0, 4, at);
  }
}

import { readdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { glob, isDynamicPattern } from 'tinyglobby';
import { fetchPicture } from './fetch-picture.js';

/** A picture that can be had, or the reason why an argument led to none. */
export type PictureSource =
  | { readonly name: string; readonly bytes: () => Promise<Uint8Array> }
  | { readonly name: string; readonly error: ShowtellError };

export interface FindOptions {
  /** Whether folders are searched to any depth. */
  readonly recursive: boolean;
  /** Larger files, answers and inputs are refused. */
  readonly maxBytes: number;
  /** How long an address may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** For messages: the option that raises {@link FindOptions.maxBytes}. */
export const maxBytesSetting = '--max-megabytes';

/**
 * The pictures that arguments name, in their order: files, folders (names that end like a picture's, sorted), globs,
 * http and https addresses, and `-` for standard input. What leads to no picture comes as its error.
 */
export async function* findPictures(
  inputs: readonly string[],
  options: FindOptions,
): AsyncGenerator<PictureSource, void, undefined> {
  for (const input of inputs) {
    if (input === '-') yield { name: '-', bytes: () => readInput(options) };
    else if (/^[a-z][a-z0-9+.-]+:\/\//i.test(input))
      yield { name: input, bytes: () => fetchPicture(input, { ...options, setting: maxBytesSetting }) };
    else yield* findFiles(input, options);
  }
}

/** Whether a file's name is a picture's, and not one that a program is still writing aside (`.photo.jpg.part`). */
export function isPictureName(name: string): boolean {
  return !name.startsWith('.') && /\.(jpe?g|jpe|jfif|png|gif|bmp|webp)$/i.test(name);
}

/** Paths of a folder's pictures, sorted by code unit; below links to folders it does not look. */
export async function listPictures(folder: string, recursive: boolean): Promise<string[]> {
  const found: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (recursive && !entry.name.startsWith('.')) found.push(...(await listPictures(path, recursive)));
    } else if (isPictureName(entry.name) && (entry.isFile() || (await isFile(path)))) found.push(path);
  }
  return found;
}

/** A file of at most so many bytes. @throws ShowtellError `picture/too-many-bytes`, `picture/unreadable` */
export async function readPictureFile(file: string, maxBytes: number): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size > maxBytes)
      throw new ShowtellError('picture/too-many-bytes', {
        where: file,
        bytes: size,
        maxBytes,
        setting: maxBytesSetting,
      });
    return await readFile(file);
  } catch (cause) {
    throw cause instanceof ShowtellError ? cause : unreadable(file, cause);
  }
}

async function* findFiles(input: string, options: FindOptions): AsyncGenerator<PictureSource, void, undefined> {
  const ofFile = (file: string): PictureSource => ({
    name: file,
    bytes: () => readPictureFile(file, options.maxBytes),
  });
  try {
    const kind = await stat(input).catch(() => null);
    if (kind?.isDirectory() === true) {
      const files = await listPictures(input, options.recursive);
      yield* files.map(ofFile);
      const where = options.recursive ? 'or below it' : 'itself; --recursive looks into those within';
      if (files.length === 0) yield none(input, `there is none in that folder ${where}`);
    } else if (kind !== null) yield ofFile(input);
    else if (isDynamicPattern(input)) {
      const files = await glob(input, {
        expandDirectories: false,
        followSymbolicLinks: false,
        absolute: isAbsolute(input),
      });
      yield* files.sort().map(ofFile);
      if (files.length === 0) yield none(input, 'no file matches that pattern');
    } else yield { name: input, error: new ShowtellError('file/missing', { file: input, what: 'The picture' }) };
  } catch (cause) {
    yield { name: input, error: unreadable(input, cause) };
  }
}

function none(input: string, detail: string): PictureSource {
  return { name: input, error: new ShowtellError('picture/none-found', { input, detail }) };
}

function unreadable(file: string, cause: unknown): ShowtellError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new ShowtellError('picture/unreadable', { where: file, detail: code ?? message }, { cause });
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() === true;
}

async function readInput({ maxBytes }: FindOptions): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > maxBytes) {
      const facts = { where: 'standard input', bytes: null, maxBytes, setting: maxBytesSetting };
      throw new ShowtellError('picture/too-many-bytes', facts);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

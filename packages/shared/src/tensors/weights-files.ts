import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { ShowtellError } from '../errors.js';
import { checkpointStateFile, newestCheckpoint } from './checkpoint-state.js';

/** Which files a path to weights means. */
export type WeightsFiles =
  | { readonly format: 'safetensors'; readonly files: readonly [string] }
  /** The index first, then the data files in the order of their names. */
  | { readonly format: 'tensorflow-v2'; readonly prefix: string; readonly files: readonly [string, ...string[]] }
  /** One file, or the shards of a sharded one. */
  | { readonly format: 'tensorflow-v1'; readonly files: readonly [string, ...string[]] }
  /** A Keras model as tfjs stores it: model.json, then its weights files. */
  | { readonly format: 'tfjs-layers'; readonly files: readonly [string, ...string[]] };

/** A sorted table's last eight bytes: V1 files are tables, and so is the index of a V2 checkpoint. */
const tableMagic = Buffer.from('57fb808b247547db', 'hex');

const brace = 0x7b;

const pieceBytes = 4 * 1_048_576;

/**
 * The files that a path means, as people name checkpoints: a V2 checkpoint by its prefix or any of its files, a
 * `checkpoint` file or its folder, a V1 file or any of its shards, a safetensors file, the model.json of a tfjs model, or
 * the folder of a showtell checkpoint.
 *
 * @throws ShowtellError `file/missing`, `checkpoint/foreign`
 */
export function weightsFiles(path: string): WeightsFiles {
  const stat = statOf(path);
  if (stat?.isDirectory() === true) return inFolder(path);
  const prefix = path.replace(/\.(index|meta|data-\d{5}-of-\d{5})$/, '');
  if ((stat === undefined || prefix !== path) && existsSync(`${prefix}.index`)) return bundle(prefix);
  const shards = prefix === path ? shardsOfV1(path) : null;
  if (shards !== null) return { format: 'tensorflow-v1', files: shards };
  if (stat === undefined) throw new ShowtellError('file/missing', { file: path, what: 'The weights file' });
  if (
    basename(path) === checkpointStateFile &&
    stat.size < pieceBytes &&
    newestCheckpoint(readFileSync(path, 'utf8')) !== null
  )
    return inFolder(dirname(path));
  if (prefix !== path)
    throw new ShowtellError('checkpoint/foreign', { path, detail: `there is no ${basename(prefix)}.index beside it` });
  const { head, tail } = ends(path, stat.size);
  if (tail.equals(tableMagic)) return { format: 'tensorflow-v1', files: [path] };
  // A safetensors file begins with the length of its header, whose higher bytes are zero: no text has such.
  if (head[0] === brace && !head.includes(0)) return { format: 'tfjs-layers', files: [path, ...shardsOf(path)] };
  if (head[8] === brace) return { format: 'safetensors', files: [path] };
  // Tools that ask for a file are given an empty one under the prefix.
  if (existsSync(`${path}.index`)) return bundle(path);
  throw new ShowtellError('checkpoint/foreign', { path, detail: foreignDetail(path, head) });
}

/** Undefined where nothing can be: a name may come out of a file, and be longer than a name can. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** What a file is that holds no weights, as far as its first bytes tell. */
function foreignDetail(path: string, head: Buffer): string {
  const magic = head.toString('latin1');
  if (magic.startsWith('\x1f\x8b'))
    return `it is a gzip archive: unpack it (tar xzf ${basename(path)}) and name what was in it`;
  if (magic.startsWith('PK')) return 'it is a zip archive, as NumPy and PyTorch write them';
  if (magic.startsWith('\x89HDF')) return 'it is an HDF5 file, as Keras writes them';
  return 'it neither begins nor ends as such a file does: it is cut short, or of another kind';
}

/**
 * The shards of a V1 checkpoint that a path without a file of its own, TensorFlow's pattern or one of the shards names.
 * @returns null when it names none. @throws ShowtellError `file/missing` when a shard is not there
 */
function shardsOfV1(path: string): [string, ...string[]] | null {
  const stem = path.replace(/-(\?{5}|\d{5})-of-(\?{5}|\d{5})$/, '');
  if (stem === path && existsSync(path)) return null;
  const [found] = beside(stem, /^-\d{5}-of-\d{5}$/);
  if (found === undefined) return null;
  const shards = Array.from({ length: Number(found.slice(-5)) }, (_, i) =>
    found.replace(/\d{5}(?=-of-\d{5}$)/, String(i).padStart(5, '0')),
  );
  for (const file of shards)
    if (!existsSync(file)) throw new ShowtellError('file/missing', { file, what: 'A part of the checkpoint,' });
  const [first = found, ...others] = shards;
  return [first, ...others];
}

function inFolder(folder: string): WeightsFiles {
  const own = join(folder, 'parameters.safetensors');
  if (existsSync(own)) return { format: 'safetensors', files: [own] };
  const state = join(folder, checkpointStateFile);
  if (!existsSync(state)) {
    const saved = existsSync(join(folder, 'saved_model.pb')) ? ', but a SavedModel: name its variables/variables' : '';
    const detail = `the folder has no ${checkpointStateFile} file${saved}`;
    throw new ShowtellError('checkpoint/foreign', { path: folder, detail });
  }
  const named = newestCheckpoint(readFileSync(state, 'utf8'));
  if (named === null)
    throw new ShowtellError('checkpoint/foreign', { path: state, detail: 'it names no model_checkpoint_path' });
  if (named.includes('\0') || basename(named) === checkpointStateFile)
    throw new ShowtellError('checkpoint/foreign', { path: state, detail: 'it names no checkpoint' });
  // A folder that was moved still says where it was.
  const here = join(folder, basename(named));
  const there = isAbsolute(named) ? named : join(folder, named);
  const path = existsSync(dirname(there)) ? there : here;
  if (statOf(path)?.isDirectory() === true)
    throw new ShowtellError('checkpoint/foreign', { path: state, detail: `it names the folder ${path}` });
  return weightsFiles(path);
}

function bundle(prefix: string): WeightsFiles {
  const data = beside(prefix, /^\.data-\d{5}-of-\d{5}$/);
  return { format: 'tensorflow-v2', prefix, files: [`${prefix}.index`, ...data] };
}

/**
 * The weights files that a model.json names; none of one that cannot be read, which whoever opens it tells.
 * @throws ShowtellError `file/missing`
 */
function shardsOf(modelFile: string): string[] {
  const files = namedShards(modelFile).map((name) => join(dirname(modelFile), name));
  const file = files.find((shard) => !existsSync(shard));
  if (file !== undefined) throw new ShowtellError('file/missing', { file, what: `A weights file of ${modelFile},` });
  return files;
}

function namedShards(modelFile: string): string[] {
  try {
    const { weightsManifest } = JSON.parse(readFileSync(modelFile, 'utf8')) as {
      weightsManifest: { paths: string[] }[];
    };
    return weightsManifest.flatMap(({ paths }) => paths.map(String));
  } catch {
    return [];
  }
}

/** The files whose names go on from a path's in a certain way. */
function beside(path: string, how: RegExp): string[] {
  const [folder, name] = [dirname(path), basename(path)];
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.startsWith(name) && how.test(file.slice(name.length)))
    .sort()
    .map((file) => join(folder, file));
}

function ends(file: string, size: number): { head: Buffer; tail: Buffer } {
  const [head, tail] = [Buffer.alloc(9), Buffer.alloc(8)];
  const fd = openSync(file, 'r');
  try {
    readSync(fd, head, 0, head.length, 0);
    readSync(fd, tail, 0, tail.length, Math.max(0, size - tail.length));
  } finally {
    closeSync(fd);
  }
  return { head, tail };
}

/** SHA-256 of the files' bytes, one file after the other: of a single file its own. @throws as {@link weightsFiles} */
export function hashOfWeights(path: string): string {
  const hash = createHash('sha256');
  const piece = Buffer.alloc(pieceBytes);
  for (const file of weightsFiles(path).files) {
    const fd = openSync(file, 'r');
    try {
      for (let read = readSync(fd, piece); read > 0; read = readSync(fd, piece)) hash.update(piece.subarray(0, read));
    } finally {
      closeSync(fd);
    }
  }
  return hash.digest('hex');
}

import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  allocateSegments,
  type LayoutEntry,
  type ParameterLayout,
  type Segments,
  tensorView,
} from '@showtell/shared/tensors/layout.js';
import { quoted } from '@showtell/shared/quoted.js';
import { readSafetensorsHeader, readTensor } from '@showtell/shared/tensors/safetensors.js';
import { type OptimizerName, type OptimizerState, slotKinds } from '../parameter-server/optimizer.js';
import { type Manifest, manifestFile, optimizerFile, parametersFile, parseManifest } from './manifest.js';
import { powerNames, trainedEntries } from './optimizer-tensors.js';

/** A checkpoint's content as a run goes on from it. */
export interface ReadCheckpoint {
  readonly path: string;
  readonly manifest: Manifest;
  readonly parameters: Segments;
  readonly optimizer: OptimizerState | null;
}

/** @throws ShowtellError `checkpoint/missing`, `checkpoint/damaged` */
export function readManifest(directory: string): Manifest {
  const file = path.join(directory, manifestFile);
  if (!existsSync(file)) {
    if (existsSync(directory))
      throw new ShowtellError('checkpoint/damaged', { path: directory, detail: `it has no ${manifestFile}` });
    throw new ShowtellError('checkpoint/missing', { path: directory, detail: 'the folder does not exist' });
  }
  return parseManifest(readFileSync(file, 'utf8'), directory);
}

/**
 * Checks every byte of a checkpoint against its hashes.
 * @throws ShowtellError `checkpoint/missing`, `checkpoint/damaged` naming the file
 */
export async function verifyCheckpoint(directory: string): Promise<Manifest> {
  const manifest = readManifest(directory);
  if (!(parametersFile in manifest.files) || (manifest.optimizer.bytes > 0 && !(optimizerFile in manifest.files)))
    throw new ShowtellError('checkpoint/damaged', { path: directory, detail: `${manifestFile} names too few files` });
  for (const [name, { bytes, sha256 }] of Object.entries(manifest.files)) {
    const refuse = (detail: string): ShowtellError =>
      new ShowtellError('checkpoint/damaged', { path: directory, detail: `${name} ${detail}` });
    const file = path.join(directory, name);
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined) throw refuse('is missing');
    if (size !== bytes) throw refuse(`has ${size} bytes instead of ${bytes}`);
    const found = await hashFile(file);
    if (found !== sha256) throw refuse(`has the SHA-256 ${found} instead of ${sha256}`);
  }
  return manifest;
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file, { highWaterMark: 4 * 1_048_576 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}

/**
 * Verifies a checkpoint and reads its values.
 * @throws ShowtellError `checkpoint/missing`, `checkpoint/damaged`, `parameters/state-mismatch`
 */
export async function readCheckpoint(directory: string, layout: ParameterLayout): Promise<ReadCheckpoint> {
  const manifest = await verifyCheckpoint(directory);
  const parameters = readParameters(path.join(directory, parametersFile), layout);
  const optimizer =
    optimizerFile in manifest.files
      ? readOptimizer(path.join(directory, optimizerFile), layout, optimizerNameOf(manifest))
      : null;
  return { path: directory, manifest, parameters, optimizer };
}

/** @throws ShowtellError `checkpoint/damaged` */
function optimizerNameOf({ job }: Manifest): OptimizerName {
  const { name } = (job['optimizer'] ?? {}) as { name?: unknown };
  if (typeof name !== 'string' || !Object.hasOwn(slotKinds, name))
    throw new ShowtellError('checkpoint/damaged', {
      path: optimizerFile,
      detail: `its job's optimizer is ${quoted(name)}`,
    });
  return name as OptimizerName;
}

function readParameters(file: string, layout: ParameterLayout): Segments {
  const tensors = new NamedTensors(file);
  const segments = allocateSegments(layout);
  for (const entry of layout.entries) tensors.read(entry.name, entry, segments);
  tensors.end();
  return segments;
}

function readOptimizer(file: string, layout: ParameterLayout, name: OptimizerName): OptimizerState {
  const tensors = new NamedTensors(file);
  const slots = slotKinds[name].map(({ suffix }) => {
    const segments = allocateSegments(layout);
    for (const entry of trainedEntries(layout)) tensors.read(`${entry.name}${suffix}`, entry, segments);
    return segments;
  });
  const powers =
    name === 'adam' ? { beta1: tensors.scalar(powerNames.beta1), beta2: tensors.scalar(powerNames.beta2) } : null;
  tensors.end();
  return { name, slots, powers };
}

/** A safetensors file whose tensors are taken one by one, until none is left over. */
class NamedTensors {
  readonly #content;
  readonly #left;

  constructor(private readonly file: string) {
    this.#content = readSafetensorsHeader(file);
    this.#left = new Map(this.#content.entries.map((entry) => [entry.name, entry]));
  }

  /** @throws ShowtellError `parameters/state-mismatch` when the file lacks it or has another shape */
  read(name: string, entry: LayoutEntry, into: Segments): void {
    readTensor(this.#content, this.#take(name, entry.shape), tensorView(into, entry));
  }

  /** @throws ShowtellError `parameters/state-mismatch` */
  scalar(name: string): number {
    return readTensor(this.#content, this.#take(name, []))[0] ?? 0;
  }

  #take(name: string, shape: readonly number[]) {
    const stored = this.#left.get(name);
    this.#left.delete(name);
    if (stored === undefined) throw this.#mismatch(`it has no ${name}`);
    if (stored.shape.join() !== shape.join())
      throw this.#mismatch(`${name} is [${stored.shape.join(', ')}] there and [${shape.join(', ')}] in the model`);
    return stored;
  }

  /** @throws ShowtellError `parameters/state-mismatch` when tensors are left over */
  end(): void {
    const [extra] = this.#left.keys();
    if (extra !== undefined) throw this.#mismatch(`the model has no ${extra}`);
  }

  #mismatch(detail: string): ShowtellError {
    return new ShowtellError('parameters/state-mismatch', { where: this.file, detail });
  }
}

import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { allocateSegments, type ParameterLayout, type Segments, tensorView } from '@showtell/shared/tensors/layout.js';
import { readSafetensorsHeader, readTensor } from '@showtell/shared/tensors/safetensors.js';
import { type Manifest, manifestFile, optimizerFile, parametersFile, parseManifest } from './manifest.js';

/** Slots of the optimizer are named after their parameter, as TensorFlow's MomentumOptimizer names them. */
export const velocitySuffix = '/Momentum';

/** A checkpoint's content as a run goes on from it. */
export interface ReadCheckpoint {
  readonly path: string;
  readonly manifest: Manifest;
  readonly parameters: Segments;
  readonly optimizer: Segments | null;
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
  const parameters = readSegments(path.join(directory, parametersFile), layout, '');
  const optimizer =
    optimizerFile in manifest.files ? readSegments(path.join(directory, optimizerFile), layout, velocitySuffix) : null;
  return { path: directory, manifest, parameters, optimizer };
}

/** @throws ShowtellError `parameters/state-mismatch` when the file's tensors are not the layout's */
function readSegments(file: string, layout: ParameterLayout, suffix: string): Segments {
  const content = readSafetensorsHeader(file);
  const found = new Map(content.entries.map((entry) => [entry.name, entry]));
  const segments = allocateSegments(layout);
  const wanted = layout.entries.filter(({ segment }) => suffix === '' || segment !== 'statistics');
  for (const entry of wanted) {
    const name = `${entry.name}${suffix}`;
    const stored = found.get(name);
    found.delete(name);
    if (stored === undefined)
      throw new ShowtellError('parameters/state-mismatch', { where: file, detail: `it has no ${name}` });
    if (stored.shape.join() !== entry.shape.join())
      throw new ShowtellError('parameters/state-mismatch', {
        where: file,
        detail: `${name} is [${stored.shape.join(', ')}] there and [${entry.shape.join(', ')}] in the model`,
      });
    readTensor(content, stored, tensorView(segments, entry));
  }
  const [extra] = found.keys();
  if (extra !== undefined)
    throw new ShowtellError('parameters/state-mismatch', { where: file, detail: `the model has no ${extra}` });
  return segments;
}

import { basename, dirname, resolve } from 'node:path';
import { readFile } from 'node:fs/promises';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { NamedTensor } from '@showtell/shared/tensors/hash.js';
import { aboutOf, type ManifestContent } from './manifest.js';
import { type OpenCheckpoint, openCheckpoint, readNamed, wordsOf } from './open-checkpoint.js';
import { vocabularyFile, writeNewCheckpoint } from './write-checkpoint.js';

/**
 * Writes the mean of checkpoints of one model: each value is summed in float64 in the order given, divided, and rounded
 * to float32 once. The rest is the last one's by step; scores and the optimizer's state are left out.
 *
 * @throws ShowtellError `checkpoint/other-model`, `checkpoint/exists`, `checkpoint/missing`, `checkpoint/damaged`,
 * `file/unwritable`
 */
export async function averageCheckpoints(directories: readonly string[], out: string): Promise<ManifestContent> {
  const all: OpenCheckpoint[] = [];
  for (const directory of directories) all.push(await openCheckpoint(directory));
  const [first] = all;
  if (first === undefined) throw new RangeError('no checkpoint to average');
  for (const other of all) refuseOther(first, other);
  const last = all.reduce((a, b) => (b.manifest.step > a.manifest.step ? b : a));
  const words = await wordsOf(last, null).catch((error: unknown) => {
    if (error instanceof ShowtellError && error.code === 'caption/no-vocabulary') return null;
    throw error;
  });
  const place = resolve(out);
  return writeNewCheckpoint({
    directory: dirname(place),
    name: basename(place),
    about: { ...aboutOf(last.manifest), canaries: {}, metrics: {} },
    savedAt: new Date().toISOString(),
    parameters: first.tensors.entries.map(({ name, shape }): NamedTensor => ({ name, shape, values: mean(all, name) })),
    optimizer: [],
    pinned: false,
    beside: words === null ? {} : { [vocabularyFile]: await readFile(words.file) },
  });
}

function refuseOther(first: OpenCheckpoint, other: OpenCheckpoint): void {
  const refuse = (detail: string): ShowtellError =>
    new ShowtellError('checkpoint/other-model', { path: first.directory, other: other.directory, detail });
  const shapes = (checkpoint: OpenCheckpoint): Map<string, string> =>
    new Map(checkpoint.tensors.entries.map(({ name, shape }) => [name, shape.join(', ')]));
  const [wanted, found] = [shapes(first), shapes(other)];
  for (const [name, shape] of wanted)
    if (found.get(name) !== shape)
      throw refuse(`${name} is [${shape}] in one and ${shapeOr(found.get(name))} in the other`);
  for (const name of found.keys()) if (!wanted.has(name)) throw refuse(`it has ${name}`);
  if (first.manifest.vocabularySha256 !== other.manifest.vocabularySha256) throw refuse('its vocabulary is another');
}

function shapeOr(shape: string | undefined): string {
  return shape === undefined ? 'missing' : `[${shape}]`;
}

function mean(all: readonly OpenCheckpoint[], name: string): Float32Array {
  const sum = Float64Array.from(readNamed(all[0] as OpenCheckpoint, name));
  for (const checkpoint of all.slice(1)) {
    const values = readNamed(checkpoint, name);
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (values[i] as number);
  }
  return Float32Array.from(sum, (value) => value / all.length);
}

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ImportOptions } from '@showtell/coordinator/checkpoints/import/import-checkpoint.js';
import type { StoredVariable } from '@showtell/coordinator/checkpoints/variable-source.js';
import { openWeights } from '@showtell/coordinator/checkpoints/open-weights.js';
import { type TensorToWrite, writeBundle } from '@showtell/coordinator/checkpoints/tensorflow/write-bundle.js';
import { sizeOf } from '@showtell/shared/tensors/layout.js';

/** A file that test/parity/tensorflow-checkpoints/generate.py made. */
export function tensorflowFixture(...names: string[]): string {
  return join(fileURLToPath(new URL('../parity/tensorflow-checkpoints/', import.meta.url)), ...names);
}

/** The captioner of the fixtures: Inception V3 at 0.05, step 77, 12 rows. */
export const captioner = {
  file: tensorflowFixture('captioner', 'model.ckpt-77'),
  words: tensorflowFixture('captioner', 'word_counts.txt'),
};

export function importOptions(out: string, more: Partial<ImportOptions> = {}): ImportOptions {
  return {
    path: captioner.file,
    encoder: 'inception_v3',
    vocabulary: captioner.words,
    out,
    depthMultiplier: null,
    imageSize: 139,
    step: null,
    phase: 'decoder-only',
    set: [],
    leaveOutUnknown: false,
    ...more,
  };
}

/** The values of a variable. */
export function valuesOf(variable: StoredVariable): Float32Array {
  const values = new Float32Array(sizeOf(variable.shape));
  variable.read(values);
  return values;
}

/** Writes the captioner's variables as a V2 checkpoint, changed. */
export function rewriteCaptioner(
  prefix: string,
  change: (variable: TensorToWrite) => TensorToWrite | null,
  more: readonly TensorToWrite[] = [],
): void {
  const tensors = openWeights(captioner.file).variables.flatMap((variable) => {
    const { name, shape } = variable;
    const changed = change({ name, shape, type: 'float32', values: () => valuesOf(variable) });
    return changed === null ? [] : [changed];
  });
  writeBundle(prefix, [...tensors, ...more]);
}

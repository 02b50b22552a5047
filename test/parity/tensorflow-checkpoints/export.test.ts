import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exporters } from '@showtell/coordinator/checkpoints/export/exporters.js';
import {
  importCheckpoint,
  type ImportOptions,
  planImport,
} from '@showtell/coordinator/checkpoints/import/import-checkpoint.js';
import { type OpenCheckpoint, openCheckpoint, readNamed } from '@showtell/coordinator/checkpoints/open-checkpoint.js';
import { type LstmNaming, lstmNamings, ownName } from '@showtell/coordinator/checkpoints/tensorflow/names.js';
import { bytesOfTensor } from '@showtell/shared/tensors/hash.js';
import { runPython, tensorflowPython } from '../../support/parity-python.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { fixture } from './fixture.js';

/** Type, shape and SHA-256 of the bytes. */
type Summary = readonly [string, readonly number[], string];
interface Restored {
  readonly read: Readonly<Record<string, Summary>>;
  readonly restored: Readonly<Record<string, Summary>> | null;
}

const python = await tensorflowPython();

const options = (out: string): ImportOptions => ({
  path: fixture('captioner'),
  encoder: 'inception_v3',
  vocabulary: fixture('captioner', 'word_counts.txt'),
  out,
  depthMultiplier: null,
  imageSize: 139,
  step: null,
  phase: 'decoder-only',
  set: [],
  leaveOutUnknown: false,
});

/** What TensorFlow wrote, imported; and what must be found in an export of it, under showtell's names. */
async function imported(at: string): Promise<{ checkpoint: OpenCheckpoint; expected: Record<string, Summary> }> {
  const how = options(join(at, 'imported'));
  await importCheckpoint(how, await planImport(how));
  const checkpoint = await openCheckpoint(how.out);
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  const step = Buffer.alloc(4);
  step.writeInt32LE(77);
  const expected: Record<string, Summary> = { global_step: ['int32', [], sha256(step)] };
  for (const { name, shape } of checkpoint.tensors.entries)
    expected[name] = ['float32', shape, sha256(bytesOfTensor(readNamed(checkpoint, name)))];
  return { checkpoint, expected };
}

function underOwnNames(found: Restored['read']): Restored['read'] {
  return Object.fromEntries(Object.entries(found).map(([name, summary]) => [ownName(name), summary]));
}

describe('a checkpoint exported for TensorFlow', () => {
  it.skipIf(python === null)(
    'is read by load_checkpoint, restored by a Saver into im2txt’s variables, and saved again to the same bytes (needs a Python with TensorFlow)',
    async () => {
      const at = temporaryFolder();
      const namings = Object.keys(lstmNamings) as LstmNaming[];
      const { checkpoint, expected } = await imported(at);
      const jobs = [];
      for (const naming of namings) {
        const folder = join(at, naming);
        await exporters.tensorflow.write({ checkpoint, out: folder, lstmNames: naming, vocabulary: null });
        const prefix = join(folder, 'model.ckpt-77');
        jobs.push({ folder, prefix, ...lstmNamings[naming], again: join(at, `${naming}-again`) });
      }
      writeFileSync(join(at, 'jobs.json'), JSON.stringify(jobs));
      const results = JSON.parse(runPython(python ?? '', fixture('restore.py'), join(at, 'jobs.json'))) as Restored[];
      for (const [i, { read, restored }] of results.entries()) {
        const job = jobs[i]!;
        expect(Object.keys(read)).toContain(job.kernel);
        expect(underOwnNames(read)).toEqual(expected);
        if (restored === null) continue; // A TensorFlow that TF-Slim does not work on.
        expect(underOwnNames(restored)).toEqual(expected);
        for (const part of ['.index', '.data-00000-of-00001'])
          expect(readFileSync(`${job.again}${part}`).equals(readFileSync(`${job.prefix}${part}`)), part).toBe(true);
      }
      expect(results).toHaveLength(namings.length);
    },
    300_000,
  );

  it('is a folder as im2txt leaves it', async () => {
    const at = temporaryFolder();
    const folder = join(at, 'exported');
    const { checkpoint } = await imported(at);
    await exporters.tensorflow.write({ checkpoint, out: folder, lstmNames: 'kernel', vocabulary: null });
    const data = 'model.ckpt-77.data-00000-of-00001';
    expect(readdirSync(folder).sort()).toEqual(['checkpoint', data, 'model.ckpt-77.index', 'word_counts.txt']);
    expect(readFileSync(join(folder, 'checkpoint'), 'utf8')).toBe(
      readFileSync(fixture('captioner', 'checkpoint'), 'utf8'),
    );
    expect(readFileSync(join(folder, 'word_counts.txt'))).toEqual(
      readFileSync(fixture('captioner', 'word_counts.txt')),
    );
  });
});

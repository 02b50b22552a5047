import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { firstValues, modelParameters } from '@showtell/coordinator/model-parameters.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { type EncoderName, encoders } from '@showtell/shared/model/parameters.js';
import { smallestSize } from '@showtell/shared/model/smallest-size.js';
import { tensorView } from '@showtell/shared/tensors/layout.js';
import { readSafetensorsHeader, readTensor } from '@showtell/shared/tensors/safetensors.js';
import { bitsOf, LocalCluster, tinyJob } from '../support/local-run.js';

const cluster = LocalCluster.open();
const minutes = 60_000;
const names = Object.keys(encoders) as EncoderName[];

/** Two steps of each phase, of the thinnest form of an encoder on small pictures. */
function jobOf(name: EncoderName): Record<string, unknown> {
  const { phases, ...rest } = tinyJob;
  return {
    ...rest,
    model: {
      ...tinyJob.model,
      encoder: {
        name,
        depthMultiplier: 0.05,
        minDepth: 4,
        imageSize: Math.max(40, smallestSize({ name })),
        batchNormDecay: 0.9,
      },
    },
    phases: { decoderOnly: { ...phases.decoderOnly, steps: 2 }, joint: { ...phases.joint, steps: 2 } },
  };
}

/** Names of the encoder's parameters by whether a checkpoint has another value than the run began with. */
function changed(run: string, step: number, name: EncoderName): { moved: string[]; still: string[] } {
  const job = parseJob(jobOf(name));
  const model = modelParameters(job);
  const first = firstValues(job, model);
  const content = readSafetensorsHeader(
    join(run, 'checkpoints', String(step).padStart(8, '0'), 'parameters.safetensors'),
  );
  const result: { moved: string[]; still: string[] } = { moved: [], still: [] };
  for (const { name, group } of model.specs.filter(({ group }) => group === 'encoder' || group === 'statistics')) {
    const before = tensorView(first, model.layout.entry(name));
    const entry = content.entries.find((each) => each.name === name);
    const after = new Float32Array(before.length);
    if (entry !== undefined) readTensor(content, entry, after);
    result[after.every((value, i) => value === before[i]) ? 'still' : 'moved'].push(`${group} ${name}`);
  }
  return result;
}

describe('each encoder trains through both phases', () => {
  beforeAll(() => cluster.drawData(), 15 * minutes);

  it.each(names)(
    '%s: frozen, then trained, to one hash with one worker and with two',
    async (name) => {
      const job = cluster.writeJob(name, jobOf(name));
      const one = cluster.at(`${name}-one`);
      const { lines } = await cluster.trained(one, { workers: 1, job, set: { 'checkpoints.everySteps': 2 } });
      expect(lines.filter(({ type }) => type === 'step').map(({ phase }) => phase)).toEqual([
        'decoder-only',
        'decoder-only',
        'joint',
        'joint',
      ]);
      expect(changed(one, 2, name).moved).toEqual([]);
      const { moved, still } = changed(one, 4, name);
      // A convolution behind a dead ReLU may rest; most don't.
      expect(still.length).toBeLessThan(0.1 * moved.length);
      expect(moved.some((each) => each.startsWith('statistics '))).toBe(true);

      const two = cluster.at(`${name}-two`);
      await cluster.trained(two, { workers: 2, job, set: { 'cluster.sharedMemory': false } });
      expect(bitsOf(two)).toEqual(bitsOf(one));
    },
    20 * minutes,
  );

  it(
    'captions with what it trained',
    async () => {
      const [picture] = readdirSync(join(cluster.data, 'images'));
      const checkpoint = cluster.at('inception_v2-one');
      const path = join(cluster.data, 'images', picture ?? '');
      const { code, stdout } = await cluster.run(['caption', '--checkpoint', checkpoint, '--json', path]);
      expect(code).toBe(0);
      expect(stdout).toContain('"captions"');
    },
    5 * minutes,
  );
});

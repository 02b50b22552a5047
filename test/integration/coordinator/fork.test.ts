import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CheckpointStore } from '@showtell/coordinator/checkpoints/checkpoint-store.js';
import { encodeManifest } from '@showtell/coordinator/checkpoints/manifest.js';
import { readManifest } from '@showtell/coordinator/checkpoints/read-checkpoint.js';
import { Journal } from '@showtell/coordinator/journal.js';
import { modelParameters } from '@showtell/coordinator/model-parameters.js';
import { startingPoint } from '@showtell/coordinator/starting-point.js';
import { openLog } from '@showtell/shared/service/log.js';
import { parametersAt, tinyJob } from '../../support/coordinator-cluster.js';
import { coordinatorSuite } from '../../support/coordinator-suite.js';
import { eventually } from '../../support/eventually.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const suite = coordinatorSuite();
const { begin, resume, good } = suite;

describe('a fork', () => {
  it("begins with the other run's checkpoint, and with its own from then on", async () => {
    const origin = begin(['phases.joint.steps=0']);
    await origin.worker(good('a'));
    await origin.ended;
    const checkpoint = origin.folder.at('checkpoints', '00000002');
    const fork = begin(['phases.joint.steps=0', 'phases.decoderOnly.learningRate=0.2'], checkpoint);
    await fork.announced();
    await eventually('it has a checkpoint', () => fork.of('evaluation').length === 0 && fork.folder.exists);
    fork.control.stop();
    await fork.ended;
    expect(parametersAt(fork.folder, 2)).toBe(parametersAt(origin.folder, 2));
    writeFileSync(`${checkpoint}/manifest.json`, '{}');
    const again = resume(fork.folder);
    await again.worker(good('b'));
    await again.ended;
    expect(again.of('step').map(({ step }) => step)).toEqual([3, 4]);
    expect(parametersAt(fork.folder, 4)).not.toBe(parametersAt(origin.folder, 4));
  });

  it('goes step by step, whatever units its asynchronous origin had open', async () => {
    const origin = begin(['phases.joint.steps=0']);
    await origin.worker(good('a'));
    await origin.ended;
    const checkpoint = origin.folder.at('checkpoints', '00000002');
    const { manifestSha256, ...content } = readManifest(checkpoint);
    writeFileSync(join(checkpoint, 'manifest.json'), encodeManifest({ ...content, missing: [1] }));
    expect(readManifest(checkpoint).manifestSha256).not.toBe(manifestSha256);
    expect(readManifest(checkpoint).missing).toEqual([1]);
    const fork = begin(['phases.joint.steps=0', 'phases.decoderOnly.learningRate=0.2'], checkpoint);
    await fork.worker(good('b'));
    await fork.ended;
    expect(fork.of('step').map(({ step }) => step)).toEqual([3, 4]);
  });

  it('of an asynchronous run applies the units that were open there, unless none may be open so far back', async () => {
    const origin = begin(['phases.joint.steps=0']);
    await origin.worker(good('a'));
    await origin.ended;
    const forkedFrom = origin.folder.at('checkpoints', '00000002');
    const { manifestSha256, ...content } = readManifest(forkedFrom);
    expect(manifestSha256).not.toBe('');
    writeFileSync(join(forkedFrom, 'manifest.json'), encodeManifest({ ...content, missing: [0] }));
    const folder = temporaryFolder();
    using journal = Journal.open(join(folder, 'journal.jsonl'), () => undefined);
    await using checkpoints = CheckpointStore.open(join(folder, 'checkpoints'));
    using log = openLog({ fields: {}, level: 'silent' });
    const missing = async (maxStaleness: number): Promise<readonly number[]> => {
      const job = tinyJob(suite.data.dataset, ['batch.units=1', `asynchronous.maxStaleness=${maxStaleness}`]);
      const identity = { ...origin.folder.identity(), forkedFrom };
      const parameters = modelParameters(job);
      const { state } = await startingPoint({ job, identity, journal, checkpoints, parameters, log });
      return state.missing;
    };
    // Workers drop what lies more than half of it before the version: it is applied for certain.
    expect(await missing(4)).toEqual([0]);
    expect(await missing(3)).toEqual([]);
  });

  /** A fork of step 2 that is rolled back to step 4 when no checkpoint of its own is sound any more. */
  const rolledBack = async (damageOrigin: boolean) => {
    const origin = begin(['phases.joint.steps=0']);
    await origin.worker(good('a'));
    await origin.ended;
    const checkpoint = origin.folder.at('checkpoints', '00000002');
    const fork = begin(['phases.decoderOnly.learningRate=0.2'], checkpoint);
    let atSwitch = '';
    const damage = (folder: string): void => writeFileSync(join(folder, 'parameters.safetensors'), 'damaged');
    await fork.worker({
      id: 'b',
      captions: (step, work) => {
        if (step <= 4) return suite.data.rightCaptions(work);
        if (atSwitch === '') {
          atSwitch = parametersAt(fork.folder, 4);
          for (const step of ['00000002', '00000004']) damage(fork.folder.at('checkpoints', step));
          if (damageOrigin) damage(checkpoint);
        }
        return [];
      },
    });
    await fork.ended.catch(() => undefined);
    return { fork, checkpoint, atSwitch };
  };

  it('takes its steps from its origin again when it is rolled back and no checkpoint of its own is sound', async () => {
    const { fork, atSwitch } = await rolledBack(false);
    await fork.ended;
    expect(fork.of('rollback')).toMatchObject([{ step: 6, toStep: 4 }]);
    expect(fork.of('step').map(({ step }) => step)).toEqual([3, 4, 5, 6, 3, 4]);
    expect(fork.events.at(-1)).toMatchObject({ type: 'finished', outcome: 'rolled-back', step: 4 });
    expect(parametersAt(fork.folder, 4)).toBe(atSwitch);

    // A person who removes all checkpoints comes to the same, of the same lineage.
    for (const step of ['00000002', '00000004'])
      rmSync(fork.folder.at('checkpoints', step), { recursive: true, force: true });
    const again = resume(fork.folder);
    await again.worker(good('c'));
    await again.ended;
    expect(again.of('step').map(({ step }) => step)).toEqual([3, 4]);
    expect(again.events.at(-1)).toMatchObject({ outcome: 'rolled-back', step: 4 });
    expect(parametersAt(fork.folder, 4)).toBe(atSwitch);
  });

  it('ends with an error when its origin is damaged too, and begins nowhere else', async () => {
    const { fork, checkpoint } = await rolledBack(true);
    await expect(fork.ended).rejects.toMatchObject({
      code: 'checkpoint/none-sound',
      message: expect.stringContaining(checkpoint) as string,
    });
    expect(fork.of('step').map(({ step }) => step)).toEqual([3, 4, 5, 6]);
    await expect(resume(fork.folder).ended).rejects.toMatchObject({ code: 'checkpoint/none-sound' });
  });
});

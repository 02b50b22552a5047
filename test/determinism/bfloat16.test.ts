import { beforeAll, expect, it } from 'vitest';
import { canBfloat16, instructionSets } from '@showtell/worker/engine/tensorflow/instruction-sets.js';
import { bitsOf, LocalCluster, logOf, logsOf, pidOf, survivors, untilJoined } from '../support/local-run.js';

const cluster = LocalCluster.open();
const minutes = 60_000;

/** A processor without bfloat16 arithmetic still has it on the wire. */
const precision = canBfloat16(instructionSets()) ? 'bfloat16' : 'float32';

/** Everything that is drawn from a unit's seed, and every number that can be narrow. */
const set = {
  'engine.precision': precision,
  'wire.dtype': 'bfloat16',
  'optimizer.name': 'sgd',
  'augmentation.enabled': true,
  'augmentation.resize': 88,
  'batch.captionLengths': [8, 32],
  'phases.decoderOnly.steps': 5,
  'phases.joint.steps': 7,
};

beforeAll(() => cluster.drawData(), 15 * minutes);

it(
  `computed in ${precision}, bfloat16 on the wire, distorted pictures and two caption lengths: one worker by gRPC, and three of which one is killed, give one hash`,
  async () => {
    const one = cluster.at('one');
    await cluster.trained(one, { workers: 1, set: { ...set, 'cluster.sharedMemory': false } });

    const three = cluster.at('three');
    const command = cluster.train(three, { workers: 3, set });
    await untilJoined(three, 'worker-2');
    await command.untilStep(7);
    process.kill(await pidOf(three, 'worker-1'), 'SIGKILL');
    expect(await command.ended, logsOf(three)).toMatchObject({ code: 0 });
    expect(survivors(three)).toEqual([]);
    expect(logOf(three, 'worker-2').find(({ message }) => message === 'joined')).toMatchObject({
      exchange: 'shared-memory',
    });
    expect(bitsOf(three)).toEqual(bitsOf(one));
    expect(bitsOf(three)).toMatchObject({ step: 12, phase: 'joint', optimizer: { bytes: 0 } });
  },
  20 * minutes,
);

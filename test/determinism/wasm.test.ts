import { beforeAll, expect, it } from 'vitest';
import { bitsOf, LocalCluster, logsOf, pidOf, survivors } from '../support/local-run.js';

const cluster = LocalCluster.open();
const minutes = 60_000;
const set = { 'engine.name': 'wasm', 'phases.decoderOnly.steps': 4, 'phases.joint.steps': 5 };

beforeAll(() => cluster.drawData(), 15 * minutes);

it(
  'computed on wasm: one worker by gRPC, and three of which one is killed, give one hash',
  async () => {
    const one = cluster.at('one');
    await cluster.trained(one, { workers: 1, set: { ...set, 'cluster.sharedMemory': false } });

    const three = cluster.at('three');
    const command = cluster.train(three, { workers: 3, set });
    await command.untilStep(6);
    process.kill(await pidOf(three, 'worker-1'), 'SIGKILL');
    expect(await command.ended, logsOf(three)).toMatchObject({ code: 0 });
    expect(survivors(three)).toEqual([]);
    expect(bitsOf(three)).toEqual(bitsOf(one));
    expect(bitsOf(three)).toMatchObject({ step: 9, phase: 'joint' });
  },
  20 * minutes,
);

import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { Journal } from '@showtell/coordinator/journal.js';
import { LocalCluster } from '../support/local-run.js';

const cluster = LocalCluster.open();
const minutes = 60_000;
/** The encoder moves in one step, right after a version that was evaluated with it frozen. */
const set = {
  'phases.decoderOnly.steps': 4,
  'phases.joint.steps': 1,
  'phases.joint.learningRate': 5,
  'evaluation.everySteps': 1,
  'evaluation.sampleImages': 0,
};

beforeAll(() => cluster.drawData(), 15 * minutes);

const scoresOf = (run: string): unknown[] =>
  Journal.read(join(run, 'journal.jsonl')).flatMap((entry) =>
    entry.type === 'evaluation' ? [{ step: entry.step, scores: entry.scores }] : [],
  );

it(
  'an evaluation has nothing of the features of an encoder that was trained since, though they are kept and found',
  async () => {
    const [plain, kept] = [cluster.at('plain'), cluster.at('kept')];
    await cluster.trained(plain, { workers: 1, set: { ...set, 'cluster.featureCache': 'off' } });
    await cluster.trained(kept, { workers: 2, set: { ...set, 'cluster.featureCache': 'memory' } });
    expect(scoresOf(plain)).toHaveLength(6);
    expect(scoresOf(kept)).toEqual(scoresOf(plain));
  },
  20 * minutes,
);

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Journal } from '@showtell/coordinator/journal.js';
import { bitsOf, LocalCluster, logOf, logsOf, show, untilGone } from '../support/local-run.js';

const cluster = LocalCluster.open();
const minutes = 60_000;

beforeAll(() => cluster.drawData(), 15 * minutes);

describe('the guard', () => {
  const set = {
    'phases.decoderOnly.learningRate': 1,
    'phases.decoderOnly.steps': 20,
    'phases.joint.steps': 2,
    // A decoder of twenty steps has learnt which words are frequent, one of three has not.
    'phases.joint.guard.maxPerplexityRatio': 1.6,
  };

  it(
    'unmet: ends the run with code 10 and a checkpoint, and with more steps it comes to what a longer run comes to',
    async () => {
      const run = cluster.at('guarded');
      const short = await cluster.train(run, { workers: 1, set: { ...set, 'phases.decoderOnly.steps': 3 } }).ended;
      expect(short, logsOf(run)).toMatchObject({ code: 10 });
      expect(show(run)).toMatchObject({ step: 3, phase: 'decoder-only' });
      expect(short.stdout).toContain('"outcome":"guard-unmet"');
      expect(short.stdout).toMatch(/unigram baseline/);

      await cluster.trained(run, { workers: 2, set });
      const straight = cluster.at('straight');
      await cluster.trained(straight, { workers: 1, set });
      expect(bitsOf(run)).toEqual(bitsOf(straight));
      expect(bitsOf(run)).toMatchObject({ step: 22, phase: 'joint' });
    },
    20 * minutes,
  );
});

describe('a rollback', () => {
  const switchStep = 120;
  const set = {
    'phases.decoderOnly.learningRate': 1,
    'phases.decoderOnly.steps': switchStep,
    // A rate that ruins what was learnt.
    'phases.joint.learningRate': 100,
    'phases.joint.steps': 12,
    'phases.joint.maxBleuDrop': 1e-4,
    'phases.joint.rollbackPatience': 1,
    // Evaluated at the switch and at 131, saved at 61 and 122: there is time for a kill between.
    'evaluation.everySteps': 131,
    'evaluation.captionImages': 8,
    'checkpoints.everySteps': 61,
    'checkpoints.keepLast': 50,
  };

  it(
    'comes back to the switch, past a damaged checkpoint, and when it is killed meanwhile does it again to the same hash',
    async () => {
      const run = cluster.at('rolled-back');
      const joint = cluster.train(run, { workers: 1, set });
      await joint.until('a joint checkpoint', ({ type, step }) => type === 'checkpoint' && step > switchStep);
      joint.signal('SIGKILL');
      await untilGone(run);
      const atSwitch = bitsOf(`${run}@${switchStep}`);
      expect(atSwitch.phase).toBe('decoder-only');

      const file = join(run, 'checkpoints', String(switchStep).padStart(8, '0'), 'parameters.safetensors');
      const bytes = readFileSync(file);
      bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
      writeFileSync(file, bytes);

      const again = cluster.train(run, { workers: 2, set });
      await again.until('the rollback', ({ type }) => type === 'rollback');
      await again.until('a step after it', ({ step, type }) => type === 'step' && step > 70 && step < switchStep);
      again.signal('SIGKILL');
      await untilGone(run);

      const last = await cluster.train(run, { workers: 1, set }).ended;
      expect(last, logsOf(run)).toMatchObject({ code: 0 });
      expect(last.stdout).toContain('"outcome":"rolled-back"');
      expect(bitsOf(run)).toEqual(atSwitch);
      expect(show(run).lineage).toBe(2);
      const rollbacks = Journal.read(join(run, 'journal.jsonl')).filter(({ type }) => type === 'rollback');
      expect(rollbacks).toMatchObject([{ toStep: switchStep, lineage: 2 }]);
      const passedOver = logOf(run, 'coordinator').filter(({ message }) => message.includes('damaged'));
      expect(passedOver.map(({ path }) => path)).toContainEqual(expect.stringContaining(`00000${switchStep}`));
    },
    20 * minutes,
  );
});

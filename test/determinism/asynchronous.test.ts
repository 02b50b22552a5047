import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AccountedStep } from '@showtell/coordinator/step-account.js';
import type { JobInput } from '@showtell/shared/job/job.js';
import { bitsOf, linesOf, LocalCluster, logOf, logsOf, pidOf, survivors, tinyJob } from '../support/local-run.js';

const cluster = LocalCluster.open();
const minutes = 60_000;
const [decoderOnly, joint] = [40, 12];
const maxStaleness = 8;

/** Two examples an update, of which each record comes several times. */
const job = {
  ...tinyJob,
  name: 'asynchronous',
  batch: { ...tinyJob.batch, examples: 2, units: 1 },
  optimizer: { name: 'momentum' },
  phases: {
    decoderOnly: { ...tinyJob.phases.decoderOnly, steps: decoderOnly },
    joint: { ...tinyJob.phases.joint, steps: joint },
  },
  asynchronous: { maxStaleness },
} as const satisfies JobInput;

const file = (): string => cluster.writeJob('asynchronous', job);

/** What a run did, by its own account: update by update the unit it was made of. */
function accountOf(run: string): { unit: number; staleness: number; worker: string }[] {
  const steps = linesOf<AccountedStep>(join(run, 'steps.jsonl'));
  expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: decoderOnly + joint }, (_, step) => step));
  return steps.map(({ units }) => {
    expect(units).toHaveLength(1);
    const { step = -1, staleness = -1, worker = '', examples = 0 } = units[0] ?? {};
    expect(examples).toBe(2);
    return { unit: step, staleness, worker };
  });
}

/** What holds of every asynchronous run, whatever befell it. */
function expectBounds(run: string): ReturnType<typeof accountOf> {
  const account = accountOf(run);
  const rising = [...account].sort((a, b) => a.unit - b.unit).map(({ unit }) => unit);
  expect(rising, 'each unit once').toEqual(account.map((_, step) => step));
  for (const { staleness } of account) {
    expect(staleness).toBeGreaterThanOrEqual(0);
    expect(staleness).toBeLessThanOrEqual(maxStaleness);
  }
  for (const [update, { unit }] of account.entries())
    expect(Math.abs(update - unit), 'applied near its place in the plan').toBeLessThanOrEqual(maxStaleness / 2);
  const before = account.slice(0, decoderOnly).map(({ unit }) => unit);
  expect(Math.max(...before), 'the switch is about the units before it').toBeLessThan(decoderOnly);
  return account;
}

describe('asynchronous', () => {
  beforeAll(() => cluster.drawData(), 2 * minutes);

  it(
    'one update at a time gives the bits of the synchronous job with one unit a step',
    async () => {
      const [synchronous, warm] = [cluster.at('synchronous'), cluster.at('warm')];
      await cluster.trained(synchronous, { workers: 1, job: file(), set: { asynchronous: null } });
      await cluster.trained(warm, { workers: 2, job: file(), set: { 'asynchronous.warmStartSteps': decoderOnly } });
      expect(bitsOf(warm)).toEqual(bitsOf(synchronous));
      expect(accountOf(warm).every(({ staleness }) => staleness === 0)).toBe(true);
    },
    10 * minutes,
  );

  it(
    'applies each unit once within the bound, though workers stand still and are killed, and the coordinator too',
    async () => {
      const run = cluster.at('torn');
      const set = { 'cluster.leaseSeconds': 2, 'checkpoints.everySteps': 3 };
      const first = cluster.train(run, { workers: 3, job: file(), set });
      await first.untilStep(6);
      const slow = await pidOf(run, 'worker-1');
      process.kill(slow, 'SIGSTOP');
      await first.untilStep(first.step + 3);
      process.kill(await pidOf(run, 'worker-2'), 'SIGKILL');
      await first.untilStep(first.step + 3);
      process.kill(slow, 'SIGCONT');
      await first.untilStep(20);
      first.signal('SIGKILL');
      await first.ended;

      const second = cluster.train(run, { workers: 3, job: file(), set });
      await second.until('the joint phase', ({ type }) => type === 'switch');
      await second.untilStep(decoderOnly + 3);
      second.signal('SIGINT');
      expect((await second.ended).code).toBe(11);

      await cluster.trained(run, { workers: 2, job: file(), set });
      const account = expectBounds(run);
      expect(account.some(({ staleness }) => staleness > 0)).toBe(true);
      expect(account.some(({ unit }, update) => unit !== update)).toBe(true);
      expect(new Set(account.map(({ worker }) => worker)).size).toBeGreaterThan(1);
      expect(survivors(run)).toEqual([]);
    },
    10 * minutes,
  );

  it(
    'applies each unit once where two shards have the parameters and one is killed',
    async () => {
      const run = cluster.at('shards');
      const set = { 'cluster.parameterShards': 2, 'cluster.sharedMemory': false, 'optimizer.name': 'adam' };
      const command = cluster.train(run, { workers: 2, job: file(), set });
      await command.untilStep(12);
      process.kill(await pidOf(run, 'ps-2'), 'SIGKILL');
      expect(await command.ended, logsOf(run)).toMatchObject({ code: 0 });
      expectBounds(run);
      const log = logOf(run, 'coordinator');
      expect(log.some(({ message }) => message === 'going on from the last checkpoint')).toBe(true);
    },
    10 * minutes,
  );
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AccountedStep } from '@showtell/coordinator/step-account.js';
import { openDataset } from '@showtell/shared/data/dataset.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { Plan } from '@showtell/shared/plan/plan.js';
import {
  bitsOf,
  LocalCluster,
  linesOf,
  logOf,
  logsOf,
  pidOf,
  show,
  survivors,
  tinyJob,
  untilGone,
  untilJoined,
} from '../support/local-run.js';

const cluster = LocalCluster.open();
const minutes = 60_000;
const totalSteps = tinyJob.phases.decoderOnly.steps + tinyJob.phases.joint.steps;

/** What the one worker's run without any cache came to. */
let reference: ReturnType<typeof bitsOf>;

/** The counter of a process's /metrics. */
async function metric(run: string, name: string): Promise<number> {
  const { http } = JSON.parse(readFileSync(join(run, 'processes', 'coordinator.json'), 'utf8')) as { http: string };
  const text = await (await fetch(`${http}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** How often each record counted in each epoch, by the parameter server's own account against the plan. */
async function visits(run: string): Promise<{ steps: number[]; counts: Map<string, number>[] }> {
  const account = linesOf<AccountedStep>(join(run, 'steps.jsonl'));
  const dataset = await openDataset(cluster.data);
  const train = dataset.split('train');
  const plan = new Plan(parseJob(tinyJob), train);
  const counts: Map<string, number>[] = [];
  let position = 0;
  for (const { step, units } of account) {
    const planned = plan.units(step);
    expect(units.map(({ index }) => index).sort()).toEqual(planned.map(({ index }) => index));
    for (const { index, records } of planned) {
      expect(units.find((unit) => unit.index === index)?.examples).toBe(records.length);
      for (const { shard, offset } of records) {
        const epoch = Math.floor(position++ / train.count);
        const seen = (counts[epoch] ??= new Map<string, number>());
        seen.set(`${shard}@${offset}`, (seen.get(`${shard}@${offset}`) ?? 0) + 1);
      }
    }
  }
  return { steps: account.map(({ step }) => step), counts };
}

describe('one job gives one hash', () => {
  beforeAll(async () => {
    await cluster.drawData();
    const run = cluster.at('one-worker');
    await cluster.trained(run, { workers: 1, set: { 'cluster.featureCache': 'off' } });
    reference = bitsOf(run);
    expect(reference).toMatchObject({ step: totalSteps, phase: 'joint', examples: totalSteps * 8 });
  }, 20 * minutes);

  it(
    'on three workers of which two are killed in mid-step, with a late one, cache cold on disk, look-ahead full',
    async () => {
      const run = cluster.at('three-workers');
      const command = cluster.train(run, {
        workers: 3,
        set: { 'cluster.featureCache': 'disk', 'cluster.lookAhead': 16, 'cluster.stragglerFactor': null },
      });
      await untilJoined(run, 'worker-2');
      await command.untilStep(3);
      // A worker that stands still holds its unit, so all come to wait for it and fill up with what lies ahead.
      const first = await pidOf(run, 'worker-2');
      process.kill(first, 'SIGSTOP');
      await command.untilQuiet(3_000);
      expect(command.step).toBeLessThan(totalSteps);
      // While nothing goes on: on a slow machine the run could be over before it has started.
      const late = cluster.start(['worker', '--run', run, '--id', 'late']);
      await untilJoined(run, 'worker-late');
      process.kill(first, 'SIGKILL');
      await command.until('the joint phase', ({ type }) => type === 'switch');
      await command.until('joint steps', ({ type, step }) => type === 'step' && step > 14);
      process.kill(await pidOf(run, 'worker-3'), 'SIGKILL');
      expect(await command.ended, logsOf(run)).toMatchObject({ code: 0 });
      expect(await late.ended).toMatchObject({ code: 0 });
      expect(bitsOf(run)).toEqual(reference);

      const log = logOf(run, 'coordinator');
      const died = log.filter(({ message }) => message === 'a worker died').map(({ worker }) => worker);
      expect(died).toContain('worker-2');
      expect(log.some(({ message }) => message === 'a unit is offered again')).toBe(true);
      expect(log.some(({ message, worker }) => message === 'a worker joined' && worker === 'late')).toBe(true);
      expect(survivors(run)).toEqual([]);

      const { steps, counts } = await visits(run);
      expect(steps).toEqual(Array.from({ length: totalSteps }, (_, step) => step));
      const records = (await openDataset(cluster.data)).split('train').count;
      for (const seen of counts.slice(0, -1)) {
        expect(seen.size).toBe(records);
        expect([...seen.values()].every((times) => times === 1)).toBe(true);
      }
      expect([...(counts.at(-1)?.values() ?? [])].every((times) => times === 1)).toBe(true);
    },
    20 * minutes,
  );

  it(
    'stopped by Ctrl-C and resumed, its coordinator killed and started again, with the cache warm',
    async () => {
      const run = cluster.at('broken-off');
      const options = { workers: 2, set: { 'cluster.featureCache': 'disk' } };
      const stopped = cluster.train(run, options);
      await stopped.untilStep(6);
      stopped.signal('SIGINT');
      const { code } = await stopped.ended;
      expect(code).toBe(11);
      const at = show(run);
      expect(at.step).toBeGreaterThanOrEqual(6);
      expect(at).toMatchObject({ phase: 'decoder-only', examples: at.step * 8 });

      const killed = cluster.train(run, options);
      await killed.untilStep(18);
      killed.signal('SIGKILL');
      await killed.ended;
      expect(await untilGone(run)).toBeLessThan(10);

      const last = await cluster.trained(run, options);
      expect(last.lines.find(({ type }) => type === 'step')?.step).toBeGreaterThan(12);
      expect(bitsOf(run)).toEqual(reference);
      const { steps } = await visits(run);
      expect(steps).toEqual(Array.from({ length: totalSteps }, (_, step) => step));
    },
    20 * minutes,
  );

  it(
    'on four shards of the parameter server, one killed in each phase',
    async () => {
      const run = cluster.at('four-shards');
      const command = cluster.train(run, { workers: 2, set: { 'cluster.parameterShards': 4 } });
      await command.untilStep(3);
      process.kill(await pidOf(run, 'ps-2'), 'SIGKILL');
      await command.until('the joint phase', ({ type }) => type === 'switch');
      process.kill(await pidOf(run, 'ps-4'), 'SIGKILL');
      expect(await command.ended, logsOf(run)).toMatchObject({ code: 0 });
      expect(bitsOf(run)).toEqual(reference);
      const log = logOf(run, 'coordinator');
      expect(log.filter(({ message }) => message === 'going on from the last checkpoint').length).toBeGreaterThan(0);
      expect(log.filter(({ message }) => message === 'a shard had ended and was started again')).toHaveLength(2);
      expect(survivors(run)).toEqual([]);
    },
    20 * minutes,
  );

  it(
    'by gRPC alone, on two shards, features in memory, leases shorter than a computation, and a worker that sleeps beyond its lease',
    async () => {
      const run = cluster.at('short-leases');
      const gRPC = { 'cluster.sharedMemory': false, 'cluster.parameterShards': 2 };
      const set = { 'cluster.featureCache': 'memory', 'cluster.leaseSeconds': 2, ...gRPC };
      const command = cluster.train(run, { workers: 2, set });
      await command.untilStep(14);
      // The first joint step records and compiles for longer than a lease; nobody may have lost one.
      expect(await metric(run, 'showtell_units_duplicate_total')).toBe(0);
      expect(await metric(run, 'showtell_units_stale_total')).toBe(0);
      const slow = await pidOf(run, 'worker-1');
      process.kill(slow, 'SIGSTOP');
      // What it holds goes to the other one; then it finishes what nobody waits for any more.
      await command.untilStep(command.step + 3);
      process.kill(slow, 'SIGCONT');
      expect(await command.ended, logsOf(run)).toMatchObject({ code: 0 });
      expect(bitsOf(run)).toEqual(reference);
      expect(logOf(run, 'worker-1').find(({ message }) => message === 'joined')).toMatchObject({ exchange: 'grpc' });
    },
    20 * minutes,
  );

  it(
    'with a worker that stands still and is not waited for',
    async () => {
      const run = cluster.at('straggler');
      const command = cluster.train(run, { workers: 1, set: { 'cluster.featureCache': 'disk' } });
      await command.untilStep(6);
      const slow = await pidOf(run, 'worker-1');
      process.kill(slow, 'SIGSTOP');
      // What the only one had goes to another; were that one there before, it might have had it all.
      const other = cluster.start(['worker', '--run', run, '--id', 'other']);
      await command.untilStep(command.step + 3);
      process.kill(slow, 'SIGCONT');
      expect(await command.ended, logsOf(run)).toMatchObject({ code: 0 });
      expect(await other.ended, logsOf(run)).toMatchObject({ code: 0 });
      expect(bitsOf(run)).toEqual(reference);
      const again = logOf(run, 'coordinator').filter(({ message }) => message === 'a unit is offered again');
      expect(again.map(({ reason }) => reason)).toContain('straggler');
    },
    20 * minutes,
  );
});

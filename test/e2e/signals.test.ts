import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { LocalCluster, logOf, logsOf, pidOf, show, survivors, untilGone, untilJoined } from '../support/local-run.js';

const cluster = LocalCluster.open();
const minutes = 60_000;
const set = { 'phases.decoderOnly.steps': 2000, 'phases.joint.steps': 0 };

beforeAll(() => cluster.drawData(), 15 * minutes);

/** Processes of the run besides those given. */
function others(run: string, ...known: number[]): number[] {
  return survivors(run).filter((pid) => !known.includes(pid));
}

it(
  'a dead coordinator takes its children along, one started by hand waits for the next; Ctrl-C saves; a second ends at once',
  async () => {
    const run = cluster.at('run');
    const first = cluster.train(run, { workers: 2, set });
    await first.untilStep(2);
    const byHand = cluster.start(['worker', '--run', run, '--id', 'worker-by-hand', '--wait', '10m']);
    const hand = await pidOf(run, 'worker-by-hand');
    await untilJoined(run, 'worker-by-hand');
    await first.untilStep(first.step + 4);

    first.signal('SIGKILL');
    const died = performance.now();
    while (others(run, byHand.pid, hand).length > 0) {
      expect(performance.now() - died).toBeLessThan(10_000);
      await delay(50);
    }
    // Five seconds are promised; a busy machine takes a while to end a process that it was told to.
    expect(byHand.isOver).toBe(false);

    const second = cluster.train(run, { workers: 1, set });
    await untilJoined(run, 'worker-by-hand', 2);
    await second.untilStep(second.step + 4);
    const asked = performance.now();
    second.signal('SIGINT');
    const stopped = await second.ended;
    expect(stopped, logsOf(run)).toMatchObject({ code: 11 });
    expect((performance.now() - asked) / 1000).toBeLessThan(30);
    expect(stopped.stdout).toContain('"type":"stopped"');
    const { step } = show(run);
    expect(second.lines.find(({ type }) => type === 'stopped')?.step).toBe(step);
    // It was told that the run stops, and so it stops too.
    expect(await byHand.ended).toMatchObject({ code: 0 });
    await untilGone(run);
    expect(readdirSync(join(run, 'processes'))).toEqual([]);

    const plain = cluster.start(['train', '--run', run, '--resume', '--workers', '1']);
    const log = logOf(run, 'coordinator').length;
    while (
      !logOf(run, 'coordinator')
        .slice(log)
        .some(({ message }) => message === 'a worker joined')
    )
      await delay(100);
    plain.signal('SIGTERM');
    const said = await plain.ended;
    expect(said, logsOf(run)).toMatchObject({ code: 11 });
    expect(said.stdout).toMatch(/go on with: showtell train --run .*run --resume/);

    const third = cluster.train(run, { workers: 2, set });
    await third.untilStep(step + 1);
    // Its worker stands still, so the step at hand does not end.
    process.kill(await pidOf(run, 'worker-1'), 'SIGSTOP');
    await delay(500);
    third.signal('SIGINT');
    await delay(200);
    third.signal('SIGINT');
    const twice = performance.now();
    const { code } = await third.ended;
    expect([130, 11]).toContain(code);
    expect((performance.now() - twice) / 1000).toBeLessThan(5);
    process.kill(await pidOf(run, 'worker-1'), 'SIGCONT');
    expect(await untilGone(run)).toBeLessThan(10);
  },
  20 * minutes,
);

it(
  'a worker without a coordinator waits as long as it is told, then says so',
  async () => {
    const run = cluster.at('idle');
    const command = cluster.train(run, { workers: 1, set: { ...set, 'phases.decoderOnly.steps': 1 } });
    expect(await command.ended).toMatchObject({ code: 0 });
    const began = performance.now();
    const worker = await cluster.run(['worker', '--run', run, '--wait', '3s']);
    expect((performance.now() - began) / 1000).toBeGreaterThan(3);
    expect(worker).toMatchObject({ code: 69 });
    expect(worker.stderr).toMatch(/No coordinator answered at .*idle within 3 s/);
  },
  15 * minutes,
);

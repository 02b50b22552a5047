import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { newRun, parametersAt, RunningCoordinator, tinyJob } from '../../support/coordinator-cluster.js';
import { coordinatorSuite, deedAt, stepsOf } from '../../support/coordinator-suite.js';
import { eventually } from '../../support/eventually.js';
import type { ScriptedWorker } from '../../support/scripted-worker.js';

const suite = coordinatorSuite();
const { begin, good } = suite;

describe('the same parameters come out', () => {
  it('with 1, then 8, then 1 worker in mid-run, by drawing in and by death', async () => {
    const run = begin(['batch.examples=8', 'batch.units=4']);
    const plain = begin(['batch.examples=8', 'batch.units=4']);
    await plain.worker(good('alone'));
    await plain.ended;

    const slowly = { computeMs: 5 };
    await run.worker(good('first', slowly));
    await run.until('step', 2);
    const more: ScriptedWorker[] = [];
    for (let i = 0; i < 7; i++) more.push(await run.worker(good(`more-${i}`, slowly)));
    await eventually('more than one works', () => more.some(({ results }) => results.length > 0));
    await run.until('step', 5);
    for (const worker of more) worker.die();
    await run.ended;
    expect(parametersAt(run.folder, 8)).toBe(parametersAt(plain.folder, 8));
    const by = (await stepsOf(run.folder)).map(({ units }) => new Set(units.map(({ worker }) => worker)));
    expect([...(by[0] ?? [])]).toEqual(['first']);
    expect(by.some((workers) => workers.size > 1)).toBe(true);
    expect([...(by.at(-1) ?? [])]).toEqual(['first']);
  });

  it('with workers of unequal speed, of which the fast ones do more', async () => {
    const steps = ['phases.decoderOnly.steps=8', 'batch.examples=8', 'batch.units=4'];
    const run = begin(steps);
    const plain = begin(steps);
    await plain.worker(good('alone'));
    await plain.ended;

    const fast = await run.worker(good('fast'));
    const slow = await run.worker(good('slow', { computeMs: 150 }));
    await run.ended;
    expect(parametersAt(run.folder, 12)).toBe(parametersAt(plain.folder, 12));
    expect(fast.results.length).toBeGreaterThan(slow.results.length);
  });
});

describe('a stall', () => {
  it('names who is missing and what it holds', async () => {
    const { dataset } = suite.data;
    const job = tinyJob(dataset, ['cluster.stallSeconds=1', 'cluster.stragglerFactor=null']);
    const run = new RunningCoordinator(newRun(dataset, job), dataset, job, suite.nats.url, 'debug');
    await run.worker(good('sleeper', { deed: deedAt(1, 0, 'hold') }));
    const told = (): { message: string; missing?: object[]; workers?: number }[] =>
      readFileSync(run.folder.at('logs', 'coordinator.log'), 'utf8')
        .split('\n')
        .filter((line) => line.includes('no result for a while'))
        .map((line) => JSON.parse(line) as { message: string });
    // On a busy machine others may come before.
    const stall = () => told().find((line) => JSON.stringify(line).includes('"step 1 unit 0","holders":["sleeper"]'));
    await eventually('the stall is told of', () => stall() !== undefined);
    expect(stall()).toMatchObject({ seconds: 1, workers: 1 });
  });
});

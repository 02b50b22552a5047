import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { haveTensorflow } from '../support/tensorflow.js';
import { faultKinds, faultRules, type Ability } from './fault-kinds.js';
import { Lab } from './lab.js';
import { countFaults } from './report.js';
import type { SeedResult } from './run-seed.js';
import { runSeeds, tellFailure } from './run-seeds.js';
import { drawSchedule, tell } from './schedule.js';

const minutes = 60_000;
/** Every kind of fault is drawn by one of them: a limit to memory by the last. */
const seeds = [...Array.from({ length: 19 }, (_, i) => i + 1), 25];
/** The same faults done to runs on two shards, where they hit those too, and to asynchronous ones. */
const elsewhere = { shards: [26, 27, 28], asynchronous: [26, 27, 28] } as const;
const lab = await Lab.open(haveTensorflow ? 'tensorflow' : 'wasm');
afterAll(() => lab[Symbol.asyncDispose]());

describe(`runs to which faults are done, by ${lab.job.engine.name}`, () => {
  let results: SeedResult[] = [];
  beforeAll(async () => {
    results = await runSeeds(lab, seeds, {
      atOnce: 2,
      chained: 1,
      keepGoing: true,
      shrinks: false,
      say: () => undefined,
    });
  }, 30 * minutes);

  it('come to what the undisturbed one comes to, whatever was done to them', () => {
    const failures = results.filter(({ complaints }) => complaints.length > 0).map(tellFailure);
    expect(failures, failures.join('\n\n')).toEqual([]);
    expect(results.map(({ schedule }) => schedule.seed).sort((a, b) => a - b)).toEqual(seeds);
  });

  it('were harmed indeed: most of the faults that were drawn hit something', () => {
    const drawn = results.flatMap(({ schedule }) => schedule.faults).length;
    const done = results.flatMap(({ done: kinds }) => kinds).length;
    expect(done).toBeGreaterThan(drawn / 2);
  });

  it.each(['shards', 'asynchronous'] as const)(
    'hold what is promised of a run that is %s too',
    async (cluster) => {
      const done = await runSeeds(lab, elsewhere[cluster], {
        ...{ atOnce: 2, chained: 1, keepGoing: true, shrinks: false, cluster, say: () => undefined },
      });
      const failures = done.filter(({ complaints }) => complaints.length > 0).map(tellFailure);
      expect(failures, failures.join('\n\n')).toEqual([]);
      expect(done).toHaveLength(elsewhere[cluster].length);
    },
    10 * minutes,
  );

  for (const ability of ['toxiproxy', 'preload', 'prlimit'] satisfies Ability[]) {
    const lacks = lab.lacking.get(ability);
    it.skipIf(lacks !== undefined)(
      `were harmed by what needs ${ability}${lacks === undefined ? '' : `: ${lacks}`}`,
      () => {
        const counts = countFaults(results);
        const kinds = faultKinds.filter((kind) => faultRules[kind].needs === ability);
        expect(kinds.some((kind) => (counts.get(kind) ?? 0) > 0)).toBe(true);
      },
    );
  }
});

it('npm run faults -- --list says what a seed does', () => {
  const args = ['tsx', 'test/faults/main.ts', '--list', '--seed', '3'];
  const { stdout, status } = spawnSync('npx', args, { encoding: 'utf8' });
  expect({ stdout: stdout.trim(), status }).toEqual({ stdout: tell(drawSchedule(3)), status: 0 });
});

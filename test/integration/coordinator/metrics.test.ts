import { expect, it } from 'vitest';
import type { RunningCoordinator } from '../../support/coordinator-cluster.js';
import { coordinatorSuite } from '../../support/coordinator-suite.js';
import { eventually } from '../../support/eventually.js';

const suite = coordinatorSuite();

/** A series of the coordinator as `/metrics` says it now; undefined where it is not there. */
async function valueOf(run: RunningCoordinator, series: string): Promise<number | undefined> {
  const { http } = await run.announced();
  const text = await (await fetch(`${http}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}

it('says before the first step where the run stands, and how long the queue is', async () => {
  const run = suite.begin(['evaluation.everySteps=100']);
  expect(await valueOf(run, 'showtell_step')).toBe(0);
  expect(await valueOf(run, 'showtell_steps_planned')).toBe(8);
  expect(await valueOf(run, 'showtell_phase{phase="decoder-only"}')).toBe(1);
  expect(await valueOf(run, 'showtell_phase{phase="joint"}')).toBe(0);
  expect(await valueOf(run, 'showtell_paused')).toBe(0);
  // The evaluation of the first values comes first: two units for their perplexity, two of captions.
  const depth = (lane: string, state: string) => valueOf(run, `showtell_queue_units{lane="${lane}",state="${state}"}`);
  await eventually('the queue is known', async () => (await depth('now', 'pending')) === 4);
  expect(await depth('now', 'unacknowledged')).toBe(0);
  expect(await depth('ahead', 'pending')).toBe(0);
  await run.worker(suite.good('a', { deed: ({ evaluation }) => (evaluation ? 'compute' : 'hold') }));
  await eventually("the worker holds the step's units", async () => (await depth('now', 'unacknowledged')) === 2);
  expect(await depth('now', 'pending')).toBe(0);
});

it('says that a person has paused the run', async () => {
  const run = suite.begin();
  await run.announced();
  run.control.pause();
  expect(await valueOf(run, 'showtell_paused')).toBe(1);
  run.control.resume();
  expect(await valueOf(run, 'showtell_paused')).toBe(0);
});

it('has the scores of the latest evaluation after a restart, before there is a new one', async () => {
  const first = suite.begin();
  await first.worker(suite.good('a', { deed: ({ step }) => (step === 3 ? 'hold' : 'compute') }));
  await first.until('step', 3);
  first.control.stop();
  await first.ended;
  const [last] = first.of('evaluation').slice(-1);
  const second = suite.resume(first.folder);
  expect(await valueOf(second, 'showtell_step')).toBe(3);
  expect(await valueOf(second, 'showtell_perplexity')).toBe(last?.scores.perplexity);
  expect(await valueOf(second, 'showtell_bleu{n="4"}')).toBe(last?.scores.captions?.bleu[3]);
});

it('counts bytes by the way they went', async () => {
  const run = suite.begin();
  await run.worker(suite.good('a'));
  await run.until('step', 2);
  const bytes = (direction: string, way: string) =>
    valueOf(run, `showtell_exchange_bytes_total{direction="${direction}",way="${way}"}`);
  expect(await bytes('received', 'grpc')).toBeGreaterThan(0);
  expect(await bytes('sent', 'grpc')).toBeGreaterThan(0);
  expect(await bytes('received', 'shared-memory')).toBe(0);
  expect(await bytes('sent', 'shared-memory')).toBe(0);
});

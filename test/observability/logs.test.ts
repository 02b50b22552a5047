import { beforeAll, expect, it } from 'vitest';
import { LocalCluster, logOf, type LogLine } from '../support/local-run.js';

const cluster = LocalCluster.open();
const run = cluster.at('logged');
const workers = ['worker-1', 'worker-2'];

beforeAll(async () => {
  await cluster.drawData();
  const set = { 'phases.decoderOnly.steps': 6, 'phases.joint.steps': 0, 'evaluation.everySteps': 6 };
  await cluster.trained(run, { workers: 2, set, through: ['env', 'SHOWTELL_LOG=debug'] });
}, 300_000);

const named = (name: string, message: string): LogLine[] => logOf(run, name).filter((line) => line.message === message);

it('every line says when, how grave, what, of which run and role', () => {
  const name = named('coordinator', 'step')[0]?.['run'];
  expect(name).toMatch(/^tiny-[0-9a-f]{8}$/u);
  for (const line of logOf(run, 'coordinator'))
    expect(line).toMatchObject({ time: expect.any(String) as string, run: name, role: 'coordinator' });
  for (const worker of workers) {
    const lines = logOf(run, worker);
    for (const line of lines) expect(line).toMatchObject({ role: 'worker', worker });
    const joined = lines.findIndex(({ message }) => message === 'joined');
    expect(lines.slice(joined).filter((line) => line['run'] !== name)).toEqual([]);
  }
});

it('lines about a step name it, and lines about a unit its step, place and worker', () => {
  expect(named('coordinator', 'step').map((line) => line['step'])).toEqual([1, 2, 3, 4, 5, 6]);
  const counted = workers.flatMap((worker) => named(worker, 'unit settled'));
  const trained = counted.filter((line) => line['evaluation'] === undefined && line['outcome'] === 'accepted');
  expect(trained.map((line) => `${String(line['step'])}/${String(line['unit'])}`).sort()).toEqual(
    [0, 1, 2, 3, 4, 5].flatMap((step) => [0, 1, 2, 3].map((unit) => `${step}/${unit}`)),
  );
});

import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@showtell/coordinator/local/free-port.js';
import { expect, it } from 'vitest';
import { bitsOf, LocalCluster, logsOf, show, survivors, tinyJob } from '../support/local-run.js';
import { startNatsWith, startTestNats } from '../support/nats-server.js';

const cluster = LocalCluster.open();

it('an external NATS that stays away ends the run after a minute, with a checkpoint, and is named', async () => {
  await cluster.drawData();
  const job = cluster.writeJob('job', {
    ...tinyJob,
    phases: { ...tinyJob.phases, decoderOnly: { steps: 5000 }, joint: { steps: 0 } },
  });
  const run = cluster.at('run');
  const nats = await startTestNats();
  const coordinator = cluster.start([
    ...['coordinator', job, '--run', run, '--data', cluster.data, '--nats', nats.url],
    ...['--grpc-port', '0', '--http-port', '0'],
  ]);
  cluster.start(['worker', '--run', run, '--id', 'w']);
  await coordinator.untilStep(2);
  const { url } = nats;
  await nats[Symbol.asyncDispose]();
  const ended = await coordinator.ended;
  expect(ended, logsOf(run)).toMatchObject({ code: 69 });
  expect(ended.stderr).toContain(url);
  expect(show(run).step).toBeGreaterThanOrEqual(2);
});

it('NATS gone for 30 s in mid-run: the run ends with the parameters of one that was not disturbed', async () => {
  await cluster.drawData();
  const calm = cluster.at('calm');
  await cluster.trained(calm, { workers: 1 });

  const port = await freePort();
  const configuration = 'jetstream { store_dir: "STORE" }';
  let nats = await startNatsWith(configuration, port);
  const run = cluster.at('away');
  const coordinator = cluster.start([
    ...['coordinator', cluster.at('tiny.yaml'), '--run', run, '--data', cluster.data, '--nats', nats.url],
    ...['--grpc-port', '0', '--http-port', '0'],
  ]);
  await coordinator.untilRun(run);
  const workers = ['a', 'b'].map((id) => cluster.start(['worker', '--run', run, '--id', id, '--wait', '5m']));
  await coordinator.untilStep(6);
  await nats[Symbol.asyncDispose]();
  await delay(30_000);
  expect(coordinator.isOver).toBe(false);
  nats = await startNatsWith(configuration, port);
  expect(await coordinator.ended, logsOf(run)).toMatchObject({ code: 0 });
  for (const worker of workers) expect(await worker.ended).toMatchObject({ code: 0 });
  await nats[Symbol.asyncDispose]();
  expect(bitsOf(run)).toEqual(bitsOf(calm));
  expect(survivors(run)).toEqual([]);
});

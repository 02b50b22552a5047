import { expect, it } from 'vitest';
import { LocalCluster, logsOf, show, tinyJob } from '../support/local-run.js';
import { startTestNats } from '../support/nats-server.js';

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

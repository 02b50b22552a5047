import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';
import { eventually } from '../../support/eventually.js';
import { startTestNats } from '../../support/nats-server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { freePort } from '@showtell/coordinator/local/free-port.js';
import { killStarted, runShowtell, startShowtell, startWorker, writeJob } from './processes.js';

const haveEngine = existsSync(engineFolder('cpu').addon);

/** Each by its own command, as on machines of their own. */
describe.skipIf(!haveEngine)('shards of the parameter server (needs the engine: showtell engine setup)', () => {
  afterEach(killStarted);

  it('serve a run that names them, tell Prometheus, are free for the next one, and end when they are told', async () => {
    await using nats = await startTestNats();
    const folder = temporaryFolder();
    const data = join(folder, 'data');
    await runShowtell('data', 'synth', '--out', data, '--seed', '1', '--train', '24', '--size', '80');
    const job = writeJob(join(folder, 'job.yaml'), {
      phases: { decoderOnly: { steps: 5000, learningRate: 0.1 }, joint: { steps: 0 } },
    });
    const shards = [1, 2].map(() => startShowtell('ps', '--grpc-port', '0', '--http-port', '0'));
    const places = await Promise.all(
      shards.map(async (shard) => {
        await eventually('it listens', () => shard.output().includes('"listening"'), 60_000);
        const line =
          shard
            .output()
            .split('\n')
            .find((each) => each.includes('"listening"')) ?? '';
        return JSON.parse(line) as { grpc: string; http: string };
      }),
    );
    const ready = async (): Promise<number[]> =>
      Promise.all(places.map(async ({ http }) => (await fetch(`${http}/readyz`)).status));
    expect(await ready()).toEqual([503, 503]);
    for (const name of ['one', 'two']) {
      const grpc = await freePort();
      const coordinator = startShowtell(
        ...['coordinator', job, '--run', join(folder, name), '--data', data, '--nats', nats.url],
        ...['--grpc-port', String(grpc), '--http-port', '0', '--shards', places.map((place) => place.grpc).join(',')],
      );
      const worker = startWorker(['--coordinator', `127.0.0.1:${grpc}`, '--job', job, '--data', data, '--wait', '1m']);
      await eventually('two steps', () => coordinator.output().includes('"step":2,'), 120_000);
      expect(await ready()).toEqual([200, 200]);
      const metrics = await (await fetch(`${places[1]!.http}/metrics`)).text();
      expect(metrics).toMatch(/^showtell_shard_open 1$/mu);
      expect(metrics).toMatch(/^showtell_shard_gradients_total\{outcome="added"\} [1-9]/mu);
      expect(metrics).toMatch(/^showtell_shard_parameters_bytes [1-9]/mu);
      coordinator.child.kill('SIGTERM');
      expect(await coordinator.ended, coordinator.output()).toBe(11);
      expect(await worker.ended, worker.output()).toBe(0);
      expect(await ready()).toEqual([503, 503]);
    }
    for (const shard of shards) shard.child.kill('SIGTERM');
    for (const shard of shards) expect(await shard.ended, shard.output()).toBe(0);
  }, 240_000);

  it.each([
    ['ps-0', 'HOST:PORT'],
    ['a:1,a:1', 'twice'],
  ])('are named well: %s', async (named, says) => {
    const coordinator = startShowtell(
      ...['coordinator', 'job.yaml', '--run', 'a', '--data', 'b', '--nats', 'nats://n:1', '--shards', named],
    );
    expect(await coordinator.ended).toBe(64);
    expect(coordinator.output()).toContain(says);
  });
});
